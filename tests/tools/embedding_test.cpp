#include "tools/embedding.hpp"

#include <gmock/gmock.h>

#include <cstring>
#include <sstream>

#include "tests/support/temporary_folder.hpp"

namespace anomalyd::tools {
namespace {

using ::anomalyd::testing::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::Not;

Embedding two_windows() {
  Embedding embedding;
  embedding.width = 2;
  embedding.series = {"a,b", "</script>"};
  embedding.series_of = {0, 1};
  embedding.times = {EventTime{std::chrono::seconds{60}}, EventTime{std::chrono::seconds{120}}};
  embedding.codes = {1, 2, 3, 4.5};
  return embedding;
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Embedding, WritesCsvWithNamesQuoted) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "codes.csv";
  ASSERT_TRUE(write_embedding(path, two_windows()));
  EXPECT_EQ(contents(path),
            "series,time,z0,z1\n"
            "\"a,b\",1970-01-01T00:01:00.000Z,1,2\n"
            "</script>,1970-01-01T00:02:00.000Z,3,4.5\n");
}

TEST(Embedding, WritesRecordsAsNumPyReadsThem) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "codes.npy";
  ASSERT_TRUE(write_embedding(path, two_windows()));
  const std::string bytes = contents(path);
  constexpr std::size_t kRecord = 9 + 8 + 2 * 4;
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_THAT(bytes, HasSubstr("('series', '|S9'), ('time', '<M8[us]'), ('z', '<f4', (2,))"));
  EXPECT_THAT(bytes, HasSubstr("'shape': (2,)"));
  const auto header = 10 + static_cast<std::size_t>(static_cast<unsigned char>(bytes[8])) +
                      256 * static_cast<std::size_t>(static_cast<unsigned char>(bytes[9]));
  EXPECT_EQ(header % 64, 0U);
  ASSERT_EQ(bytes.size(), header + 2 * kRecord);
  float last = 0;
  std::memcpy(&last, bytes.data() + bytes.size() - sizeof last, sizeof last);
  EXPECT_EQ(last, 4.5F);
}

TEST(Embedding, RefusesAnotherEndingAndAFolderThatIsNotThere) {
  EXPECT_THAT(write_embedding("codes.txt", two_windows()).error().message,
              HasSubstr("expected .csv or .npy"));
  EXPECT_THAT(write_embedding("/no/such/folder/codes.csv", two_windows()).error().message,
              HasSubstr("No such file or directory"));
  EXPECT_FALSE(write_embedding_page("/no/such/folder/codes.html", two_windows()));
}

TEST(EmbeddingPage, HoldsTheWindowsAndKeepsNamesFromEndingTheScript) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "codes.html";
  Embedding embedding = two_windows();
  embedding.incidents = {"normal", "leak"};
  embedding.incident_of = {0, 1};
  ASSERT_TRUE(write_embedding_page(path, embedding));
  const std::string page = contents(path);
  EXPECT_THAT(page, HasSubstr(R"("incident":{"names":["normal","leak"],"of":[0,1]})"));
  EXPECT_THAT(page, HasSubstr(R"("time":[60000,120000])"));
  EXPECT_THAT(page, HasSubstr("\\u003c/script>"));
  EXPECT_THAT(page, Not(HasSubstr("@DATA@")));
  EXPECT_THAT(page, Not(HasSubstr("http")));
}

TEST(PrincipalPlane, IsTheDirectionsOfLargestVariance) {
  // Along (3, 4) / 5 far, across it near, in the third dimension not at all.
  const std::vector<float> vectors = {3, 4, 7, -3, -4, 7, 0.8F, -0.6F, 7, -0.8F, 0.6F, 7};
  const auto near = [](float value) { return FloatNear(value, 1e-4F); };
  EXPECT_THAT(principal_plane(vectors, 3), ElementsAre(near(5), near(0), near(-5), near(0), near(0),
                                                       near(1), near(0), near(-1)));
}

TEST(PrincipalPlane, IsAPointWhereNothingVaries) {
  EXPECT_THAT(principal_plane(std::vector<float>{1, 1, 1, 1}, 2), ElementsAre(0, 0, 0, 0));
}

}  // namespace
}  // namespace anomalyd::tools
