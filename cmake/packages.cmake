# Third-party libraries, all packaged in Debian 12 and 13. docs/adr/ says why each was chosen.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
function(hws_package name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  add_library(hws_pkg_${name} INTERFACE)
  target_link_libraries(hws_pkg_${name} INTERFACE PkgConfig::${name})
endfunction()
hws_package(uv libuv)
hws_package(nghttp2 libnghttp2)
hws_package(protobuf_c libprotobuf-c)
hws_package(crypto libcrypto)
hws_package(ssl libssl) # tests only: a stock TLS peer
hws_package(sqlite sqlite3)
hws_package(fyaml libfyaml)
hws_package(jansson jansson)
hws_package(zlib zlib)
hws_package(zstd libzstd)
hws_package(cmocka cmocka)

# Debian 12's mbedTLS 2.28 ships no pkg-config file.
find_path(MBEDTLS_INCLUDE mbedtls/ssl.h REQUIRED)
find_library(MBEDTLS_LIB mbedtls REQUIRED)
find_library(MBEDX509_LIB mbedx509 REQUIRED)
find_library(MBEDCRYPTO_LIB mbedcrypto REQUIRED)
add_library(hws_pkg_mbedtls INTERFACE)
target_include_directories(hws_pkg_mbedtls SYSTEM INTERFACE ${MBEDTLS_INCLUDE})
target_link_libraries(hws_pkg_mbedtls INTERFACE ${MBEDTLS_LIB} ${MBEDX509_LIB} ${MBEDCRYPTO_LIB})

add_library(hws_pkg_threads INTERFACE)
target_link_libraries(hws_pkg_threads INTERFACE Threads::Threads)

find_program(PROTOC protoc REQUIRED)
find_program(PROTOC_C protoc-c REQUIRED)
