// conmon, which supervises podman's and CRI-O's containers: one process for each.

#pragma once

#include "many/setup.h"

namespace sigil::bench {

// PSS of a conmon beside a crun container that sleeps, the mean of `count` of them. A Failure if it
// doesn't work here.
double measure_conmon_kb(const Setup& setup, int count);

}  // namespace sigil::bench
