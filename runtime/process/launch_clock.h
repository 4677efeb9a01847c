#pragma once

namespace ll {

// Since the command of this run was started: the topmost of litelang and mpirun above this process,
// where they run on this host; else this process.
double seconds_since_launch();

}  // namespace ll
