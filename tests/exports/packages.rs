//! Exported folders in projects of other build systems: CMake builds and runs them, on the host and for a
//! microcontroller; of ESP-IDF and Zephyr stand-ins check what their files ask for; of PlatformIO, Arduino
//! and CMSIS-Pack the form of the manifests, and that what they list compiles as they would compile it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use burn_ptq_deploy::board::board;
use burn_ptq_deploy::export::{Exporter, Options, exporter, target, write_folder};
use burn_ptq_deploy::place::Memory;
use burn_ptq_deploy::target::{HOST, Target};
use network::proven;

#[path = "../../crates/deploy/tests/network/mod.rs"]
mod network;

const NAMES: [&str; 2] = ["wake_word", "gesture"];

fn available(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let found = command.status().is_ok_and(|status| status.success());
    if !found {
        eprintln!("SKIPPED exports in other build systems: {program} is not installed");
    }
    found
}

/// Exports the network to `folder/name`.
fn export(folder: &Path, name: &str, target: &Target) {
    let (model, self_test) = proven("net");
    let c: &dyn Exporter = exporter("c").expect("known");
    let model = model.place_again(c.kernels(target), Memory::Reduced).expect("a valid program");
    let options = Options { name: Some(name), ..Options::new(target) };
    let rendered = c.render(&model, &self_test, &options).expect("rendered");
    write_folder(&folder.join(name), "c", &rendered.files).expect("written");
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    fs::write(path, text).expect("written");
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    format!("{out}{err}")
}

fn run(folder: &Path, program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.expect("it starts");
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// Configures and builds the project in `folder`; returns what CMake said.
fn cmake(folder: &Path, options: &[&str]) -> String {
    let configured =
        run(folder, "cmake", &[&["-S", ".", "-B", "build", "-Werror=dev"], options].concat());
    run(folder, "cmake", &["--build", "build"]);
    configured
}

/// A program that runs the self-tests of networks that are linked without a hook.
fn program(names: &[&str]) -> String {
    let mut text = String::from("#include <string.h>\n");
    for name in names {
        text.push_str(&format!("#include \"{name}.h\"\n#include \"{name}_io.h\"\n"));
    }
    text.push_str("int main(void)\n{\n    int failed = 0;\n");
    for name in names {
        text.push_str(&format!(
            "    {{
        static {name}_arena arena;
        static int8_t outputs[2][7];
        memset({name}_input(), 1, 108);
        memset({name}_arena_input(&arena), 1, 108);
        {name}_run();
        {name}_arena_run(&arena);
        memcpy(outputs[0], {name}_output(), 7);
        memcpy(outputs[1], {name}_arena_output(&arena), 7);
        failed |= memcmp(outputs[0], outputs[1], 7) != 0;
    }}
"
        ));
    }
    text + "    return failed;\n}\n"
}

const SELF_TEST: &str = "
#include <stdio.h>
#include \"self_test.h\"
#include \"wake_word.h\"
int main(void)
{
    const wake_word_self_test_result result = wake_word_self_test();
    printf(\"%d %d\\n\", (int)result.samples, (int)result.sample);
    return result.sample != result.samples;
}
";

#[test]
fn cmake_builds_two_networks_and_a_self_test_on_the_host() {
    if !(available("cmake") && available("cc") && available("make")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for name in NAMES {
        export(folder.path(), name, &HOST);
    }
    write(folder.path(), "main.c", &program(&NAMES));
    write(folder.path(), "check.c", SELF_TEST);
    write(
        folder.path(),
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.13)
project(both C)
add_subdirectory(wake_word)
add_subdirectory(gesture)
add_executable(both main.c)
target_link_libraries(both PRIVATE wake_word gesture)
add_executable(check check.c)
target_link_libraries(check PRIVATE wake_word_self_test)
",
    );
    let options = ["-DWAKE_WORD_ARENA_SECTION=.bss.wake", "-DGESTURE_CONST_SECTION=.tables"];
    cmake(folder.path(), &options);
    run(folder.path(), folder.path().join("build/both"), &[]);
    assert_eq!(run(folder.path(), folder.path().join("build/check"), &[]), "5 5\n");
    let sections = |object: &str| run(folder.path(), "size", &["-A", object]);
    let object = |name: &str| format!("build/{name}/CMakeFiles/{name}.dir/{name}.c.o");
    assert!(sections(&object("wake_word")).contains(".bss.wake "));
    assert!(sections(&object("gesture")).contains(".tables "));
}

#[test]
fn cmake_builds_a_firmware_that_runs() {
    let m4 = target("cortex-m4").expect("known");
    let board = board(m4).expect("a board");
    if ![m4.compiler, board.emulator, "cmake", "make"].into_iter().all(available) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    export(folder.path(), "wake_word", m4);
    let toolchain = format!(
        "set(CMAKE_SYSTEM_NAME Generic)\nset(CMAKE_SYSTEM_PROCESSOR arm)\nset(CMAKE_C_COMPILER \
         {})\nset(CMAKE_C_FLAGS_INIT \"{} {} -O2 -Wall -Wextra -Wundef -Werror\")\n\
         set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)\n",
        m4.compiler, m4.flags, board.library
    );
    write(folder.path(), "arm.cmake", &toolchain);
    write(
        folder.path(),
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.13)
project(firmware C)
add_subdirectory(wake_word)
set(board ${CMAKE_CURRENT_SOURCE_DIR}/wake_word/firmware)
add_executable(firmware.elf ${board}/main.c ${board}/start.c ${board}/semihosting.c)
target_include_directories(firmware.elf PRIVATE ${board})
target_link_libraries(firmware.elf PRIVATE wake_word_self_test)
target_link_options(firmware.elf PRIVATE -nostartfiles -T ${board}/link.ld -Wl,--gc-sections)
",
    );
    cmake(folder.path(), &["-DCMAKE_TOOLCHAIN_FILE=arm.cmake"]);
    let arguments = board.qemu_arguments();
    let mut arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    arguments.extend(["-kernel", "build/firmware.elf"]);
    let found = run(folder.path(), board.emulator, &arguments);
    assert_eq!(found, "self-test: 5 samples, 0 differing bytes\n");
}

#[test]
fn what_esp_idf_is_asked_for_builds() {
    if !(available("cmake") && available("cc") && available("make")) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    export(folder.path(), "wake_word", &HOST);
    write(folder.path(), "main.c", &program(&["wake_word"]));
    // The arguments and the variable that ESP-IDF documents for components.
    write(
        folder.path(),
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.16)
project(app C)
set(ESP_PLATFORM 1)
function(idf_component_register)
    cmake_parse_arguments(own \"\" \"\" \"SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS\" ${ARGN})
    if(own_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR \"unknown: ${own_UNPARSED_ARGUMENTS}\")
    endif()
    add_library(__idf_wake_word STATIC ${own_SRCS})
    target_include_directories(__idf_wake_word PUBLIC ${own_INCLUDE_DIRS}
        PRIVATE ${own_PRIV_INCLUDE_DIRS})
    set(COMPONENT_LIB __idf_wake_word PARENT_SCOPE)
endfunction()
add_subdirectory(wake_word)
add_executable(app main.c)
target_link_libraries(app PRIVATE __idf_wake_word)
",
    );
    cmake(folder.path(), &["-DWAKE_WORD_ARENA_SECTION=.bss.wake"]);
    run(folder.path(), folder.path().join("build/app"), &[]);
    // Before it builds, ESP-IDF reads components in script mode, where the registration returns.
    write(
        folder.path(),
        "requirements.cmake",
        "set(ESP_PLATFORM 1)
macro(idf_component_register)
    return()
endmacro()
include(wake_word/CMakeLists.txt)
",
    );
    run(folder.path(), "cmake", &["-P", "requirements.cmake"]);
    let manifest = read(folder.path(), "wake_word/idf_component.yml");
    assert_eq!(yaml_keys(&manifest), ["version", "description", "dependencies"]);
    assert!(manifest.contains("version: \"0.1.0\"\n"));
}

/// The keys at the top of a YAML file of plain mappings.
fn yaml_keys(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with([' ', '#']));
    lines.map(|line| line.split_once(':').expect("a mapping").0).collect()
}

/// What Zephyr's documented functions and macros do, as far as modules of one firmware see it.
const ZEPHYR: &str = "cmake_minimum_required(VERSION 3.20)
project(app C)
add_library(zephyr_interface INTERFACE)
function(zephyr_include_directories)
    target_include_directories(zephyr_interface INTERFACE ${ARGV})
endfunction()
macro(zephyr_library_named name)
    set(ZEPHYR_CURRENT_LIBRARY ${name})
    add_library(${name} STATIC \"\")
    target_link_libraries(${name} PUBLIC zephyr_interface)
    set_property(GLOBAL APPEND PROPERTY ZEPHYR_LIBS ${name})
endmacro()
function(zephyr_library_sources)
    target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_include_directories)
    target_include_directories(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
function(zephyr_library_compile_definitions)
    target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGV})
endfunction()
set(CONFIG_BPTQ_WAKE_WORD y)
set(CONFIG_BPTQ_WAKE_WORD_ARENA_SECTION .bss.wake)
set(CONFIG_BPTQ_WAKE_WORD_CONST_SECTION \"\")
set(CONFIG_BPTQ_WAKE_WORD_SELF_TEST y)
set(CONFIG_BPTQ_GESTURE y)
add_subdirectory(wake_word/zephyr)
add_subdirectory(gesture/zephyr)
get_property(libraries GLOBAL PROPERTY ZEPHYR_LIBS)
foreach(name both check)
    add_executable(${name} ${name}.c)
    target_link_libraries(${name} PRIVATE zephyr_interface
        -Wl,--whole-archive ${libraries} -Wl,--no-whole-archive)
endforeach()
";

#[test]
fn what_zephyr_is_asked_for_builds() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in NAMES {
        export(folder.path(), name, &HOST);
    }
    // Options that CMake reads are those that Kconfig has.
    let kconfig = read(folder.path(), "wake_word/zephyr/Kconfig");
    let list = read(folder.path(), "wake_word/zephyr/CMakeLists.txt");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    for used in list.split("CONFIG_").skip(1) {
        let name = used.split(|c| !is_name(c)).next().expect("a name");
        assert!(kconfig.contains(&format!("config {name}\n")), "{name}");
    }
    let module = read(folder.path(), "wake_word/zephyr/module.yml");
    assert_eq!(yaml_keys(&module), ["name", "build"]);
    assert!(module.contains("\n  cmake: zephyr\n  kconfig: zephyr/Kconfig\n"), "{module}");
    if !(available("cmake") && available("cc") && available("make")) {
        return;
    }
    write(folder.path(), "both.c", &program(&NAMES));
    write(folder.path(), "check.c", SELF_TEST);
    write(folder.path(), "CMakeLists.txt", ZEPHYR);
    cmake(folder.path(), &[]);
    run(folder.path(), folder.path().join("build/both"), &[]);
    assert_eq!(run(folder.path(), folder.path().join("build/check"), &[]), "5 5\n");
}

/// Every C file below `folder`.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "c") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Compiles the folder `src` of an export as Arduino and PlatformIO do: every file below it, with no other
/// folder of headers, into an archive.
#[test]
fn the_folder_src_is_all_that_arduino_and_platformio_need() {
    for name in ["host", "cortex-m4", "cortex-m55"] {
        let target = target(name).expect("known");
        if !available(target.compiler) {
            continue;
        }
        let folder = tempfile::tempdir().expect("a folder");
        export(folder.path(), "wake_word", target);
        let library = folder.path().join("wake_word");
        let files = sources(&library.join("src"));
        assert!(files.len() > 20);
        let mut arguments: Vec<&str> = target.flags.split_whitespace().collect();
        arguments.extend(board(target).map_or("", |board| board.library).split_whitespace());
        arguments.extend(["-std=gnu11", "-O1", "-Wall", "-Werror", "-c"]);
        let include = format!("-I{}", library.join("src").display());
        arguments.push(&include);
        arguments.extend(files.iter().map(|file| file.to_str().expect("UTF-8")));
        run(folder.path(), target.compiler, &arguments);
        if *target != HOST {
            continue;
        }
        let objects: Vec<String> = files
            .iter()
            .map(|file| format!("{}.o", file.file_stem().expect("a name").display()))
            .collect();
        let mut archive = vec!["rcs", "library.a"];
        archive.extend(objects.iter().map(String::as_str));
        run(folder.path(), "ar", &archive);
        write(folder.path(), "main.c", &program(&["wake_word"]));
        let link = [&include, "-o", "main", "main.c", "library.a"];
        run(folder.path(), target.compiler, &link);
        run(folder.path(), folder.path().join("main"), &[]);
    }
}

#[test]
fn manifests_of_platformio_and_arduino_have_what_is_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    export(folder.path(), "wake_word", &HOST);
    let library = folder.path().join("wake_word");
    let manifest: serde_json::Value =
        serde_json::from_str(&read(&library, "library.json")).expect("JSON");
    assert_eq!((&manifest["name"], &manifest["version"]), (&"wake_word".into(), &"0.1.0".into()));
    assert_eq!((&manifest["frameworks"], &manifest["platforms"]), (&"*".into(), &"*".into()));
    let headers = manifest["headers"].as_array().expect("a list");
    let headers: Vec<&str> = headers.iter().filter_map(|header| header.as_str()).collect();
    assert_eq!(headers, ["wake_word.h", "wake_word_io.h"]);
    assert!(headers.iter().all(|header| library.join("src").join(header).is_file()));
    let properties = read(&library, "library.properties");
    let lines = properties.lines().filter(|line| !line.starts_with('#'));
    let keys: Vec<&str> = lines.map(|line| line.split_once('=').expect("key=value").0).collect();
    // Those that the specification of Arduino's libraries asks for, and two that it knows.
    for required in [
        "name",
        "version",
        "author",
        "maintainer",
        "sentence",
        "paragraph",
        "category",
        "url",
        "architectures",
    ] {
        assert!(keys.contains(&required), "{required}");
    }
    assert_eq!(keys[keys.len() - 2..], ["includes", "dot_a_linkage"]);
}

/// The tags of an XML file of elements and attributes, after a check that each is closed.
fn tags(text: &str) -> Vec<String> {
    let (mut open, mut found) = (Vec::new(), Vec::new());
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        let end = if after.starts_with("!--") { "-->" } else { ">" };
        let (tag, tail) = after.split_once(end).expect("a tag ends");
        rest = tail;
        if tag.starts_with(['!', '?']) {
            continue;
        }
        let name = |tag: &str| tag.split_whitespace().next().unwrap_or_default().to_owned();
        match (tag.strip_prefix('/'), tag.strip_suffix('/')) {
            (Some(closed), _) => assert_eq!(open.pop().as_deref(), Some(closed)),
            (None, Some(_)) => {}
            (None, None) => open.push(name(tag)),
        }
        found.push(tag.to_owned());
    }
    assert!(open.is_empty(), "{open:?}");
    found
}

#[test]
fn the_description_of_a_cmsis_pack_lists_files_that_are_there() {
    for target in ["host", "cortex-m55"].map(|name| target(name).expect("known")) {
        let folder = tempfile::tempdir().expect("a folder");
        export(folder.path(), "gesture", target);
        let library = folder.path().join("gesture");
        let description = read(&library, "burn-ptq.gesture.pdsc");
        assert!(description.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
        let tags = tags(&description);
        let attribute = |tag: &str, name: &str| {
            let (_, rest) = tag.split_once(&format!("{name}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let files: Vec<String> = tags
            .iter()
            .filter(|tag| tag.starts_with("file "))
            .map(|tag| attribute(tag, "name").expect("a name"))
            .collect();
        assert!(files.iter().all(|file| library.join(file).exists()), "{files:?}");
        // The component compiles everything that the network may call.
        for source in sources(&library.join("runtime")) {
            let name = format!("runtime/{}", source.file_name().expect("a name").display());
            assert!(files.contains(&name), "{name}");
        }
        let conditions: Vec<_> =
            tags.iter().filter_map(|tag| attribute(tag, "condition")).collect();
        assert_eq!(conditions, ["runtime"]);
        assert!(tags.iter().any(|tag| tag == "condition id=\"runtime\""));
    }
}
