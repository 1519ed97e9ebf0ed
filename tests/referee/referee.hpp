// The referee: a virtio device that judges drivers, clause by clause of VIRTIO 1.4, and lies to them on demand. It shares no code
// with any driver. One include brings all of it; README.md says what it judges and how to seat one's own driver.
//
//   Machine, Block, Echo   a machine with virtio-mmio devices (machine.hpp, device.hpp); access.h is the face for C
//   Queue                  one ring, without registers (queue.hpp)
//   Script, Lie            how the device behaves (script.hpp, lie.hpp)
//   Verdict, Judge         what it found (verdict.hpp, judge.hpp), by the table of clause.hpp
//   CheapSplit, CheapPacked  the cheapest honest device, for benchmarks (cheap.hpp)
//   Memory                 guest memory (memory.hpp)
#pragma once

#include "tests/referee/access.h"
#include "tests/referee/chain.hpp"
#include "tests/referee/cheap.hpp"
#include "tests/referee/clause.hpp"
#include "tests/referee/device.hpp"
#include "tests/referee/judge.hpp"
#include "tests/referee/lie.hpp"
#include "tests/referee/log.hpp"
#include "tests/referee/machine.hpp"
#include "tests/referee/memory.hpp"
#include "tests/referee/queue.hpp"
#include "tests/referee/random.hpp"
#include "tests/referee/script.hpp"
#include "tests/referee/verdict.hpp"
#include "tests/referee/wire.hpp"
