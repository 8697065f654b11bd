#pragma once

#include "config/schema.hpp"

// Names a member of Options for a row of the schema. A macro, because the lambda alone would take
// two lines of each of the hundred rows.
#define FIELD(member) \
  [](auto& options) -> auto& { return options.member; }

namespace anomalyd::config {

// The rows of the schema, by the sections of the file they fill. One row is one option.

void add_input_rows(Schema& schema);       ///< kafka, input: where samples come from.
void add_detection_rows(Schema& schema);   ///< window, model, training, threshold, alerts.
void add_retraining_rows(Schema& schema);  ///< retraining: when, and what becomes of challengers.
void add_gate_rows(Schema& schema);        ///< retraining.gate: what a challenger has to prove.
void add_operation_rows(Schema& schema);   ///< batch, self_test, state, http, log, runtime.

}  // namespace anomalyd::config
