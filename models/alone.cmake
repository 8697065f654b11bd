# What the project around models/ gives it otherwise.

set(ANOMALYD_MODELS_ALONE TRUE)
set(CMAKE_CXX_STANDARD 23)  # std::expected, where there is no tl::expected
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
get_filename_component(PROJECT_SOURCE_DIR ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
include(${PROJECT_SOURCE_DIR}/tools/cmake/ProjectSettings.cmake)
add_subdirectory(${PROJECT_SOURCE_DIR}/daemon/core core)
find_package(GTest QUIET)
enable_testing()
