#include "daemon/runtime/row_codec.hpp"

#include <gmock/gmock.h>

#include "tests/runtime/judged_chunks.hpp"

namespace anomalyd::runtime {
namespace {

using testing::judged_chunk;
using testing::odd_chunk;
using testing::same_rows;
using ::testing::SizeIs;
using testing::two_channels;
using End = RowsDecoder::End;
using Detail = RowsDecoder::Detail;

RowChunk chunk_of(const pipeline::JudgedRows& rows) {
  return slice(rows.history, rows.marks, 0, rows.history.size());
}

std::vector<std::byte> file_of(const RowsHeader& header,
                               const std::vector<std::vector<RowChunk>>& blocks) {
  std::vector<std::byte> file = encode_header(header);
  for (const auto& chunks : blocks) {
    const auto block = encode_block(header, chunks).value();
    file.insert(file.end(), block.begin(), block.end());
  }
  return file;
}

/// Reads all that can be read.
struct Outcome {
  std::vector<RowChunk> chunks;
  End end = End::kDamaged;
  std::string complaint;
};
Outcome read(std::span<const std::byte> file, Detail detail = Detail::kAll) {
  auto decoder = RowsDecoder::open(file);
  if (!decoder) return {{}, End::kDamaged, decoder.error().message};
  Outcome outcome;
  while (decoder->next()) {
    auto chunks = decoder->chunks(detail);
    if (!chunks) break;
    for (RowChunk& chunk : *chunks) outcome.chunks.push_back(std::move(chunk));
  }
  outcome.end = decoder->end();
  outcome.complaint = decoder->complaint();
  return outcome;
}

const RowsHeader kHeader{two_channels()};

TEST(RowCodec, GivesBackEveryBit) {
  const std::vector<RowChunk> chunks{
      chunk_of(odd_chunk()), chunk_of(judged_chunk("a", 7, 100)),
      chunk_of(judged_chunk("a", 1'000'000, 1, pipeline::RowMark::kSuspicious)),
      chunk_of(judged_chunk("b", 7, 50))};
  const Outcome outcome = read(file_of(kHeader, {chunks, {chunks[1]}}));
  EXPECT_EQ(outcome.end, End::kClean) << outcome.complaint;
  ASSERT_THAT(outcome.chunks, SizeIs(5));
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_TRUE(same_rows(outcome.chunks[i].history, chunks[i].history)) << i;
    EXPECT_EQ(outcome.chunks[i].marks, chunks[i].marks) << i;
  }
  EXPECT_TRUE(same_rows(outcome.chunks[4].history, chunks[1].history));
}

TEST(RowCodec, KeepsTheHeader) {
  RowsHeader header{two_channels()};
  header.thinned = {17, 42};
  header.sealed = RowsHeader::Span{-3, 9};
  const auto file = encode_header(header);
  const auto decoder = RowsDecoder::open(file);
  ASSERT_TRUE(decoder);
  EXPECT_EQ(decoder->header().channels, two_channels());
  EXPECT_EQ(decoder->header().thinned.beyond, 17);
  EXPECT_EQ(decoder->header().thinned.at, 42);
  EXPECT_EQ(decoder->header().sealed->first, -3);
  EXPECT_EQ(decoder->header().sealed->last, 9);
}

TEST(RowCodec, ReadsMarksAndTimesWithoutValues) {
  const RowChunk chunk = chunk_of(judged_chunk("a", 7, 100));
  const Outcome outcome = read(file_of(kHeader, {{chunk}}), Detail::kNoValues);
  EXPECT_EQ(outcome.end, End::kClean);
  ASSERT_THAT(outcome.chunks, SizeIs(1));
  EXPECT_EQ(outcome.chunks[0].history.times, chunk.history.times);
  EXPECT_EQ(outcome.chunks[0].marks, chunk.marks);
  EXPECT_TRUE(outcome.chunks[0].history.rows.empty());
}

TEST(RowCodec, TakesLittleForDecimalsAndConstants) {
  pipeline::JudgedRows rows = judged_chunk("a", 0, 10'000);
  for (std::size_t i = 0; i < 10'000; ++i) rows.history.rows[2 * i + 1] = 0.1 + 0.2;
  EXPECT_LT(file_of(kHeader, {{chunk_of(rows)}}).size(), 10'000U * 3);
}

TEST(RowCodec, TellsATornBlockAtEveryByte) {
  const std::vector<RowChunk> chunks{chunk_of(judged_chunk("a", 7, 20))};
  const std::size_t whole = file_of(kHeader, {chunks}).size();
  const auto file = file_of(kHeader, {chunks, {chunk_of(odd_chunk())}});
  for (std::size_t size = whole + 1; size < file.size(); ++size) {
    const Outcome outcome = read(std::span{file}.first(size));
    EXPECT_EQ(outcome.end, End::kTorn) << size;
    EXPECT_THAT(outcome.chunks, SizeIs(1)) << size;
  }
  for (std::size_t size = 0; size < encode_header(kHeader).size(); ++size) {
    EXPECT_FALSE(RowsDecoder::open(std::span{file}.first(size))) << size;
  }
}

TEST(RowCodec, TellsZerosAtTheEndFromDamage) {
  auto file = file_of(kHeader, {{chunk_of(odd_chunk())}});
  file.resize(file.size() + 4096);
  EXPECT_EQ(read(file).end, End::kTorn) << "a power cut leaves zeros";
  file.back() = std::byte{1};
  EXPECT_EQ(read(file).end, End::kDamaged);
}

TEST(RowCodec, FindsEveryFlippedBit) {
  const auto sound =
      file_of(kHeader, {{chunk_of(odd_chunk())}, {chunk_of(judged_chunk("a", 7, 9))}});
  for (std::size_t at = 0; at < sound.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      auto file = sound;
      file[at] ^= static_cast<std::byte>(1 << bit);
      const Outcome outcome = read(file);
      ASSERT_NE(outcome.end, End::kClean) << "byte " << at << " bit " << bit;
      ASSERT_FALSE(outcome.complaint.empty());
    }
  }
}

TEST(RowCodec, KeepsABlockWellBelowItsLimit) {
  EXPECT_EQ(rows_per_block(1), kMaxBlockRows);
  EXPECT_LT(rows_per_block(100) * 100 * 8, std::size_t{5} << 20);
  EXPECT_EQ(rows_per_block(10'000'000), 1U);
}

}  // namespace
}  // namespace anomalyd::runtime
