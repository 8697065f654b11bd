#include "tools/topic_guess.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cmath>

#include "config/load.hpp"
#include "tools/config_text.hpp"

namespace anomalyd::tools {
namespace {

using connectors::SampleDecoder;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FixedClock final : public Clock {
 public:
  MonotonicTime monotonic() const override { return {}; }
  EventTime wall() const override { return EventTime{seconds{1'800'000'000}}; }
};

/// Records of `hosts` machines, one a minute each; `text` writes (host, step, epoch seconds).
template <typename Text>
std::vector<SampledRecord> records_of(int hosts, int steps, Text text) {
  std::vector<SampledRecord> records;
  for (int step = 0; step < steps; ++step) {
    for (int host = 0; host < hosts; ++host) {
      const long time = 1'700'000'000 + step * 60;
      records.push_back(
          {.key = "", .value = text(host, step, time), .timestamp = EventTime{seconds{time}}});
    }
  }
  return records;
}

TopicGuess guess_of(const std::vector<SampledRecord>& records) {
  FixedClock clock;
  auto guess = guess_topic(records, clock);
  EXPECT_TRUE(guess) << guess.error().message;
  return guess ? *std::move(guess) : TopicGuess{};
}

std::vector<std::string> fields_of(const TopicGuess& guess) {
  std::vector<std::string> fields;
  for (const auto& channel : guess.input.channels) fields.push_back(channel.field);
  return fields;
}

void expect_config_loads(const TopicGuess& guess) {
  const std::string yaml = config_text({.brokers = "a:9092,b:9092"}, "metrics", guess);
  const auto loaded = config::load(yaml, "anomalyd.yaml", {});
  EXPECT_THAT(loaded.problems, IsEmpty())
      << yaml << config::format_problems(loaded.problems, "anomalyd.yaml");
  EXPECT_EQ(loaded.options.input.records.format, guess.input.format);
  EXPECT_EQ(loaded.options.input.records.series.from, guess.input.series.from);
  EXPECT_EQ(loaded.options.input.records.time.field, guess.input.time.field);
  EXPECT_THAT(loaded.options.kafka.brokers, ElementsAre("a:9092", "b:9092"));
}

TEST(GuessTopic, UnderstandsWideJson) {
  const auto guess = guess_of(records_of(3, 40, [](int host, int step, long time) {
    return fmt::format(
        R"({{"host":"h{}","time":{}000,"cpu":{{"user":{},"sys":2}},"sent":{},"up":true}})", host,
        time, step % 7, 1000 * step + host);
  }));
  EXPECT_EQ(guess.input.format, SampleDecoder::Format::kJson);
  EXPECT_THAT(guess.input.series.from, ElementsAre("host"));
  EXPECT_EQ(guess.input.time.field, "time");
  EXPECT_EQ(guess.input.time.unit, SampleDecoder::TimeUnit::kMillis);
  EXPECT_THAT(fields_of(guess), ElementsAre("cpu.user", "cpu.sys", "sent"));
  EXPECT_EQ(guess.num_series, 3U);
  EXPECT_EQ(guess.num_rows, 120U);
  EXPECT_EQ(guess.num_rejected, 0U);
  EXPECT_EQ(guess.period, std::chrono::minutes{1});
  ASSERT_THAT(guess.channels, SizeIs(3));
  EXPECT_FALSE(guess.channels[0].counter);
  EXPECT_TRUE(guess.channels[2].counter) << "sent only grows";
  EXPECT_EQ(guess.channels[0].max, 6);
  expect_config_loads(guess);
}

TEST(GuessTopic, UnderstandsLongJsonWithTextTimes) {
  const auto guess = guess_of(records_of(2, 30, [](int host, int step, long time) {
    return fmt::format(R"([{{"device":"d{0}","metric":"temp","value":"{1}","at":"{2}"}},
                          {{"device":"d{0}","metric":"rpm","value":{1},"at":"{2}"}}])",
                       host, step % 5, to_rfc3339(EventTime{seconds{time}}));
  }));
  EXPECT_EQ(guess.input.format, SampleDecoder::Format::kJsonLong);
  EXPECT_EQ(guess.input.long_format.channel, "metric");
  EXPECT_THAT(guess.input.series.from, ElementsAre("device"));
  EXPECT_EQ(guess.input.time.field, "at");
  EXPECT_EQ(guess.input.time.unit, SampleDecoder::TimeUnit::kRfc3339);
  ASSERT_THAT(guess.channels, SizeIs(2));
  EXPECT_EQ(guess.num_rejected, 0U);
  expect_config_loads(guess);
}

TEST(GuessTopic, FindsRowsInAnEnvelopeAndTheSeriesInTheKey) {
  auto records = records_of(2, 20, [](int host, int, long time) {
    return fmt::format(R"({{"version":1,"samples":[{{"ts":{},"load":{}}}]}})", time, host);
  });
  for (std::size_t i = 0; i < records.size(); ++i) records[i].key = i % 2 == 0 ? "east" : "west";
  const auto guess = guess_of(records);
  EXPECT_EQ(guess.input.unwrap, "/samples");
  EXPECT_THAT(guess.input.series.from, ElementsAre("key"));
  EXPECT_EQ(guess.num_series, 2U);
  expect_config_loads(guess);
}

TEST(GuessTopic, JoinsFieldsThatTellSeriesApartOnlyTogether) {
  const auto guess = guess_of(records_of(4, 20, [](int host, int step, long time) {
    return fmt::format(R"({{"site":"s{}","line":"l{}","ts":{},"flow":{}}})", host / 2, host % 2,
                       time, step);
  }));
  EXPECT_THAT(guess.input.series.from, ElementsAre("site", "line"));
  EXPECT_EQ(guess.num_series, 4U);
}

TEST(GuessTopic, TakesTheTopicForOneSeriesAndTheRecordsForItsTimes) {
  const auto guess = guess_of(records_of(1, 30, [](int, int step, long) {
    return fmt::format(R"({{"pressure":{},"state":"ok"}})", step % 3);
  }));
  EXPECT_EQ(guess.input.time.field, "record");
  EXPECT_EQ(guess.num_series, 1U);
  EXPECT_EQ(guess.num_rejected, 0U);
  EXPECT_THAT(fields_of(guess), ElementsAre("pressure"));
  expect_config_loads(guess);
}

TEST(GuessTopic, UnderstandsCsvWithAndWithoutHeader) {
  const auto with_header = guess_of(records_of(2, 20, [](int host, int step, long time) {
    return fmt::format("time;machine;x\n{};m{};{}", time, host, step % 4);
  }));
  EXPECT_EQ(with_header.input.format, SampleDecoder::Format::kCsv);
  EXPECT_EQ(with_header.input.csv.delimiter, ';');
  EXPECT_THAT(with_header.input.csv.columns, IsEmpty());
  EXPECT_THAT(with_header.input.series.from, ElementsAre("machine"));
  EXPECT_EQ(with_header.num_rows, 40U);
  expect_config_loads(with_header);

  const auto without = guess_of(records_of(2, 20, [](int host, int step, long time) {
    return fmt::format("{},m{},{}", to_rfc3339(EventTime{seconds{time}}), host, step % 4);
  }));
  EXPECT_THAT(without.input.csv.columns, ElementsAre("column1", "column2", "column3"));
  EXPECT_EQ(without.input.time.field, "column1");
  EXPECT_THAT(without.input.series.from, ElementsAre("column2"));
  EXPECT_EQ(without.num_rows, 40U);
  expect_config_loads(without);
}

TEST(GuessTopic, UnderstandsInfluxLines) {
  const auto guess = guess_of(records_of(2, 20, [](int host, int step, long time) {
    return fmt::format("cpu,host=h{} usage={},idle=3 {}000000000", host, step % 9, time);
  }));
  EXPECT_EQ(guess.input.format, SampleDecoder::Format::kInflux);
  EXPECT_EQ(guess.num_series, 2U);
  EXPECT_EQ(guess.channels.size(), 2U);
  expect_config_loads(guess);
}

TEST(GuessTopic, SaysWhatItSawWhenNothingFits) {
  FixedClock clock;
  const auto none = guess_topic({}, clock);
  ASSERT_FALSE(none);
  EXPECT_THAT(none.error().message, HasSubstr("no record"));
  const auto text = guess_topic({{.key = "", .value = "hello there", .timestamp = {}}}, clock);
  ASSERT_FALSE(text);
  EXPECT_THAT(text.error().message, HasSubstr("'hello there'"));
}

TEST(GuessTopic, ToleratesAFewBrokenRecords) {
  auto records = records_of(2, 40, [](int host, int step, long time) {
    return fmt::format(R"({{"host":"h{}","ts":{},"x":{}}})", host, time, step % 3);
  });
  records[10].value = "{broken";
  const auto guess = guess_of(records);
  EXPECT_EQ(guess.input.format, SampleDecoder::Format::kJson);
  EXPECT_EQ(guess.num_rejected, 1U);
  EXPECT_EQ(guess.num_rows, 79U);
}

TEST(ConfigText, KeepsSecretsOutOfTheFile) {
  const std::string yaml =
      config_text({.brokers = "a:9092",
                   .properties = {{"security.protocol", "SASL_SSL"}, {"sasl.password", "hunter2"}}},
                  "metrics", {});
  EXPECT_THAT(yaml, HasSubstr("security.protocol: SASL_SSL"));
  EXPECT_THAT(yaml, HasSubstr("sasl.password: \"${KAFKA_SASL_PASSWORD}\""));
  EXPECT_THAT(yaml, ::testing::Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace anomalyd::tools
