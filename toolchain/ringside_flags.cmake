# ringside_flags: the language standard and the warnings of everything that is ours (tests too).
# ringside_product: ringside_flags and what holds for code that ends up in a guest: errors are values, so no exceptions and no RTTI.
# ringside_headers: where includes are looked up, for our own code and for users of the targets.
add_library(ringside_headers INTERFACE)
add_library(ringside::headers ALIAS ringside_headers)
# Our own files include from the repository's root; build/include holds the public <ringside/...> names (ringside_public_header).
target_include_directories(ringside_headers INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/arch/${RINGSIDE_ARCH}/include>
  $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
  $<INSTALL_INTERFACE:include/ringside-${PROJECT_VERSION}>)
target_compile_features(ringside_headers INTERFACE cxx_std_23)

add_library(ringside_flags INTERFACE)
target_link_libraries(ringside_flags INTERFACE ringside_headers)
target_compile_options(ringside_flags INTERFACE
  $<$<COMPILE_LANGUAGE:C,CXX>:-Wall -Wextra -Wconversion -Wshadow>
  $<$<BOOL:${RINGSIDE_WERROR}>:$<$<COMPILE_LANGUAGE:C,CXX>:-Werror>>)

add_library(ringside_product INTERFACE)
target_link_libraries(ringside_product INTERFACE ringside_flags)
target_compile_options(ringside_product INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)

if(RINGSIDE_SANITIZE)
  add_compile_options(-fsanitize=${RINGSIDE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${RINGSIDE_SANITIZE})
endif()

# ringside_public_header(kernel/app.hpp): makes <ringside/app.hpp> stand for the file. Optional second argument: another name.
function(ringside_public_header path)
  get_filename_component(name ${path} NAME)
  if(ARGC GREATER 1)
    set(name ${ARGV1})
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/include/ringside/${name} CONTENT "#pragma once\n#include \"${path}\"\n" @ONLY)
endfunction()
