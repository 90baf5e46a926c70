# Compiler flags for every target. C11, no GNU extensions beyond the attributes named in base/attr.h.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

find_program(HWS_CCACHE ccache)
if(HWS_CCACHE AND NOT CMAKE_C_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${HWS_CCACHE})
endif()

# POSIX, accept4, memfd_create, pipe2 and SO_PEERCRED; paths in objects are relative to the tree.
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=)

add_library(hws_warnings INTERFACE)
target_compile_options(hws_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
  -Wundef -Wvla -Wcast-align -Wimplicit-fallthrough -Wswitch-enum $<$<BOOL:${HWS_WERROR}>:-Werror>)

if(HWS_SANITIZE)
  add_compile_options(-fsanitize=${HWS_SANITIZE})
  add_link_options(-fsanitize=${HWS_SANITIZE})
  if(HWS_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=all)
  endif()
endif()
if(HWS_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(HWS_HARDEN)
  add_compile_options(-fstack-protector-strong -fstack-clash-protection -D_FORTIFY_SOURCE=2)
  add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()

# A closure link needs a linker that may refuse undefined symbols: not with sanitizers.
if(CMAKE_C_COMPILER_ID STREQUAL "GNU" AND NOT HWS_SANITIZE AND NOT HWS_FUZZ)
  set(HWS_CLOSURES ON)
else()
  set(HWS_CLOSURES OFF)
endif()
