#include "connectors/kafka/kafka_options.hpp"

#include <gmock/gmock.h>

#include "connectors/kafka/kafka_producer.hpp"

namespace anomalyd::connectors {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(KafkaProperties, MayBeAnythingLibrdkafkaKnows) {
  EXPECT_THAT(check_properties({{"security.protocol", "sasl_ssl"},
                                {"sasl.username", "me"},
                                {"auto.offset.reset", "latest"},
                                {"fetch.wait.max.ms", "10"}}),
              IsEmpty());
}

TEST(KafkaProperties, AreAllCheckedAndTheNearestNameIsSuggested) {
  EXPECT_THAT(
      check_properties({{"fetch.wait.maxms", "10"},
                        {"linger.ms", "soon"},
                        {"enable.auto.commit", "true"},
                        {"no.such.thing.at.all", "1"}}),
      ElementsAre(
          AllOf(HasSubstr("kafka.properties.enable.auto.commit"), HasSubstr("sets itself")),
          AllOf(HasSubstr("fetch.wait.maxms: unknown"),
                HasSubstr("did you mean 'fetch.wait.max.ms'?")),
          AllOf(HasSubstr("linger.ms: found 'soon'"), HasSubstr("expected a valid value")),
          AllOf(HasSubstr("no.such.thing.at.all: unknown"), Not(HasSubstr("did you mean")))));
}

TEST(KafkaProperties, KeepSecretsOutOfMessages) {
  EXPECT_TRUE(is_secret_property("sasl.password"));
  EXPECT_TRUE(is_secret_property("ssl.key.password"));
  EXPECT_TRUE(is_secret_property("ssl.key.pem"));
  EXPECT_TRUE(is_secret_property("sasl.oauthbearer.client.secret"));
  EXPECT_FALSE(is_secret_property("sasl.username"));
  for (const auto& problem : check_properties({{"ssl.key.pem", "hunter2"}})) {
    EXPECT_THAT(problem, Not(HasSubstr("hunter2")));
  }
}

TEST(KafkaClients, RefuseUnknownPropertiesAndNoBrokers) {
  const auto unknown =
      KafkaProducer::connect({.kafka = {.brokers = "localhost:1", .properties = {{"x", "y"}}}});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().kind, ErrorKind::kInvalid);
  EXPECT_THAT(unknown.error().message, HasSubstr("kafka.properties.x: unknown property"));
  const auto nowhere = KafkaProducer::connect({});
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_THAT(nowhere.error().message,
              HasSubstr("kafka.brokers: found nothing; expected host:port"));
}

}  // namespace
}  // namespace anomalyd::connectors
