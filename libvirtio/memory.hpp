// Shared words are reached by role and index through one memory policy per build: the product's is plain memory; test builds
// name a header of their own (count, fuzz, model checker, remote memory) and compile library and drivers under it. Each policy
// stands in an inline namespace of its own. No pointer into shared memory leaves this layer.
#pragma once

#ifdef RINGSIDE_MEMORY_POLICY
#include RINGSIDE_MEMORY_POLICY
#else
#include "libvirtio/memory_real.hpp"
#endif
