# Writes a header with the commit that the sources are of, "+" behind it where files were changed; empty where there is
# no git or the sources came without history. Runs with every build and touches the header only when it changes.
# usage: cmake -DSOURCE=folder -DHEADER=file [-DCOMMIT=known] -P commit.cmake
find_package(Git QUIET)
if(NOT COMMIT AND GIT_FOUND AND EXISTS ${SOURCE}/.git)
  set(ENV{GIT_OPTIONAL_LOCKS} 0)
  execute_process(COMMAND ${GIT_EXECUTABLE} describe --always --exclude=* --abbrev=10 --dirty=+
                  WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE COMMIT ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
file(CONFIGURE OUTPUT ${HEADER} CONTENT [[#pragma once

namespace ll {

constexpr const char* kCommit = "@COMMIT@";

}  // namespace ll
]] @ONLY)
