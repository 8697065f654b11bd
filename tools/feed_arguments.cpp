#include "tools/feed_arguments.hpp"

#include <CLI/CLI.hpp>

namespace anomalyd::tools {

void FeedArguments::add_to(CLI::App& command) {
  command.add_option("files", files, "Files of records, one per line, instead of the topics")
      ->check(CLI::ExistingFile);
  command.add_option("--data", data, "Folder with manifest.json and gzip CSV files, instead")
      ->check(CLI::ExistingDirectory);
  command.add_option("--only", only, "Of --data: groups or entities, with commas between them");
  command.add_option("--from", range.from, "Of the topics: records of this time and later");
  command.add_option("--until", range.until, "Of the topics: records before this time");
}

Result<std::unique_ptr<SampleFeed>> FeedArguments::open(const config::Options& options,
                                                        DatasetPart part) const {
  if (!data.empty()) {
    auto dataset = Dataset::open(data);
    if (!dataset) return Failure{dataset.error()};
    if (auto kept = dataset->keep_only(only); !kept) return Failure{kept.error()};
    auto rows = dataset_rows(*dataset, part);
    if (!rows) return Failure{rows.error()};
    return row_feed(*std::move(rows));
  }
  if (!files.empty()) return file_feed(options, {files.begin(), files.end()});
  if (!options.input.topics.empty()) return topic_feed(options, range);
  return fail(ErrorKind::kInvalid,
              "no input; expected --config FILE with topics, --data FOLDER or files of records");
}

}  // namespace anomalyd::tools
