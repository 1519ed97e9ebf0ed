// What the clause tests say: libvirtio keeps a clause wherever it applies, and the scripted driver that breaks it is caught.
//
//     TEST_CASE("SPLIT-003 a chain never loops") { check_kept("SPLIT-003", kSplit); }
//     TEST_CASE("SPLIT-003 twin") { check_twin({"SPLIT-003"}, kSplit, Fault::loop); }
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/conformance/ring_bench.hpp"

namespace conformance {

using scripted::Fault;

/// In every combination that `where` admits: held, and nothing of any clause violated, in the usual traffic (a run for each of several
/// devices: quick and slow, in order and not, eager and shy of notifications). The runs are made once per program.
void check_kept(const std::string& clause, const Where& where);

/// The same in a scenario of the clause's own.
void check_kept(const std::string& clause, const Where& where, const referee::Script& script,
                const std::function<void(OurRing&)>& scenario);

/// What the scripted driver does; it keeps every rule until misbehave().
using Scenario = std::function<void(ScriptedRing&)>;

/// In every combination that `where` admits: without the fault the script holds the first clause and violates nothing; with it, it
/// violates these clauses (in the table's order) and no other. The usual scenario is traffic without and then with the fault.
void check_twin(const std::vector<std::string>& clauses, const Where& where, Fault fault, const referee::Script& script = {},
                const Scenario& scenario = {});
/// The same where the fault leaves a ring that cannot go on: one buffer of this shape, with the fault, after good ones.
void check_twin_at_end(const std::vector<std::string>& clauses, const Where& where, Fault fault, scripted::Shape how,
                       const Shape& shape = {{64, 64, 64}, {64, 64, 64}}, const referee::Script& script = {});

/// The ids of what was violated.
[[nodiscard]] std::vector<std::string> violated(const referee::Verdict& verdict);
/// One a line.
[[nodiscard]] std::string joined(const std::vector<std::string>& lines);

} // namespace conformance
