# Settings that every target of the project shares, applied through `anomalyd_target(<target>)`.

set(ANOMALYD_SANITIZE "" CACHE STRING "Sanitizers to build with: address,undefined or thread")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-fuse-ld=mold)
endif()

# A unit that includes LibTorch takes 1.1 GB of memory: never more than two at once.
set_property(GLOBAL APPEND PROPERTY JOB_POOLS torch_units=2)

if(ANOMALYD_SANITIZE)
  add_compile_options(-fsanitize=${ANOMALYD_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ANOMALYD_SANITIZE})
endif()

find_package(Threads REQUIRED)

# Warnings and include root for one of our own targets. Dependencies come in as SYSTEM. Warnings are
# errors with g++, the compiler that builds releases.
function(anomalyd_target target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow
    $<$<CXX_COMPILER_ID:GNU>:-Werror>)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PUBLIC Threads::Threads)
endfunction()
