# `make install`: programs, systemd unit, documents and examples.
include(GNUInstallDirs)

install(TARGETS anomalyd anomalyctl RUNTIME)
install(DIRECTORY config/examples DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES README.md CHANGELOG.md LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The unit names the program by its full path, which is known only at installation.
install(CODE "set(unit_template [[${PROJECT_SOURCE_DIR}/config/systemd/anomalyd.service]])")
install(CODE [[
  file(READ "${unit_template}" unit)
  string(REPLACE /usr/bin/ "${CMAKE_INSTALL_PREFIX}/bin/" unit "${unit}")
  set(destination "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/anomalyd.service")
  file(WRITE "${destination}" "${unit}")
  message(STATUS "Installing: ${destination}")
]])
