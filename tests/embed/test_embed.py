#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The libraries as an embedder meets them: installed into a directory of their own, found with
pkg-config and CMake, compiled against in C and C++, linked shared and static, and run.

The list of what is public is read from the installed headers, so it cannot fall behind them.
Needs BUILD (a build directory), TWO_STORES and PARLEY (of that build), and CC.
"""
import glob
import os
import re
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLE = os.path.join(HERE, "two_stores.c")
EXAMPLE_LINES_MAX = 60
SECRET = "0123456789abcdef0123456789abcdef"
LIBRARIES = ("parley", "parley-node")
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
# Objects of ours in memory that can be written, each with its reason.
WRITABLE = {
    "panic_hook": "a panic has no struct to look in; base/panic.c",
    "fill": "constant, but volatile, so that wiping memory is never left out; core/hash.c",
}


def run(*command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=240, **more)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
    return done.stdout


def run_example(test, program, **more):
    """Runs it twice on the same two stores: the second time they have identities and are peers."""
    with tempfile.TemporaryDirectory() as root:
        arguments = [os.path.join(root, "a"), os.path.join(root, "b"), SECRET]
        for _ in range(2):
            test.assertRegex(run(program, *arguments, **more), r"^local_sha256_\w{32}: Rye\?\n$")
        wrong = subprocess.run([program, *arguments[:2], SECRET[::-1]], capture_output=True,
                               text=True, timeout=60, **more)
        test.assertEqual((1, ""), (wrong.returncode, wrong.stdout))
        test.assertIn("cannot be unsealed", wrong.stderr)


class Example(unittest.TestCase):
    def test_two_stores_of_one_process_become_equal(self):
        run_example(self, os.environ["TWO_STORES"])

    def test_the_tools_open_the_store_of_a_program_that_embeds(self):
        with tempfile.TemporaryDirectory() as root:
            stores = [os.path.join(root, "a"), os.path.join(root, "b")]
            run(os.environ["TWO_STORES"], *stores, SECRET)
            key = os.open(os.path.join(stores[1], "seal.key"), os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(key, SECRET.encode())
            os.close(key)
            self.assertIn("Rye?", run(os.environ["PARLEY"], "--data", stores[1], "show", "bread"))

    def test_the_example_is_short_and_shown(self):
        with open(EXAMPLE, encoding="utf-8") as file:
            example = file.read()
        self.assertLessEqual(example.count("\n"), EXAMPLE_LINES_MAX)
        with open(os.path.join(HERE, "..", "..", "README.md"), encoding="utf-8") as file:
            self.assertIn(f"```c\n{example}```\n", file.read())


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp()
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.prefix = os.path.join(cls.root, "prefix")
        run("cmake", "--install", os.environ["BUILD"], "--prefix", cls.prefix)
        found = glob.glob(os.path.join(cls.prefix, "**", "parley.pc"), recursive=True)
        cls.pkgconfig = os.path.dirname(found[0]) if found else ""
        cls.libdir = os.path.dirname(cls.pkgconfig)
        cls.include = os.path.join(cls.prefix, "include")

    # ---- Helpers ----

    def pkg_config(self, *arguments):
        return run("pkg-config", *arguments,
                   env={**os.environ, "PKG_CONFIG_PATH": self.pkgconfig}).split()

    def at_run_time(self):
        return {"env": {**os.environ, "LD_LIBRARY_PATH": self.libdir}}

    def build(self, name, *arguments):
        program = os.path.join(self.root, name)
        run(os.environ["CC"], "-std=c11", *STRICT, "-o", program, EXAMPLE, *arguments)
        return program

    def headers(self):
        found = sorted(glob.glob(os.path.join(self.include, "parley", "*.h")))
        self.assertIn(os.path.join(self.include, "parley", "node.h"), found)
        return found

    def public(self, library):
        """The functions that the headers of a library declare as PARLEY_API."""
        names = set()
        for header in self.headers():
            if (os.path.basename(header) == "node.h") != (library == "parley-node"):
                continue
            with open(header, encoding="utf-8") as file:
                text = re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S)
            text = re.sub(r"^\s*#(?:.*\\\n)*.*$", "", text, flags=re.M)
            for declaration in re.findall(r"\bPARLEY_API\b([^;]*);", text):
                names.add(re.search(r"(\w+)\s*\(", declaration).group(1))
        self.assertGreater(len(names), 20)
        return names

    def archive(self, library):
        return os.path.join(self.libdir, f"lib{library}.a")

    def shared(self, library):
        return os.path.join(self.libdir, f"lib{library}.so.0")

    def dynamic(self, path):
        """Defined symbols of a shared library, without the one that names the version."""
        lines = run("nm", "-D", "--defined-only", path).split("\n")
        names = [line.split()[2] for line in lines if line and line.split()[1] != "A"]
        return dict(name.split("@@") if "@@" in name else (name, "") for name in names)

    # ---- Headers ----

    def test_each_header_compiles_alone_in_c_and_cpp(self):
        for header in self.headers():
            for compiler in ("gcc", "clang"):
                run(compiler, "-std=c11", *STRICT, "-I", self.include, "-fsyntax-only", "-x", "c",
                    "-include", header, "-", input="typedef int something;\n")
            for compiler in ("g++", "clang++"):
                run(compiler, "-std=c++11", *STRICT, "-I", self.include, "-fsyntax-only", "-x",
                    "c++", "-include", header, os.devnull)

    def test_headers_have_no_names_but_those_of_the_product(self):
        for header in self.headers():
            with open(header, encoding="utf-8") as file:
                self.assertEqual([], re.findall(r"\b(?:pl|PL)_\w+", file.read()), header)

    def test_a_cpp_program_links_every_function_of_every_header(self):
        source = os.path.join(self.root, "every.cc")
        names = sorted(self.public("parley") | self.public("parley-node"))
        with open(source, "w", encoding="utf-8") as file:
            for header in self.headers():
                file.write(f"#include <parley/{os.path.basename(header)}>\n")
            file.write("#include <cstdio>\nint main()\n{\n    unsigned count = 0;\n")
            for name in names:
                file.write(f"    count += reinterpret_cast<void (*)()>(&{name}) != nullptr;\n")
            file.write('    std::printf("%u %s\\n", count, parley_err_name(PARLEY_EBUSY));\n}\n')
        program = os.path.join(self.root, "every")
        for compiler in ("g++", "clang++"):
            run(compiler, "-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-address", "-o",
                program, source, *self.pkg_config("--cflags", "--libs", "parley-node"))
            self.assertEqual(f"{len(names)} PARLEY_EBUSY\n", run(program, **self.at_run_time()))

    def test_the_version_is_one(self):
        with open(os.path.join(self.include, "parley", "parley.h"), encoding="utf-8") as file:
            parts = re.findall(r"#define PARLEY_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", file.read())
        for library in LIBRARIES:
            self.assertEqual([".".join(parts)], self.pkg_config("--modversion", library))

    # ---- Linking ----

    def test_pkg_config_and_the_shared_libraries(self):
        program = self.build("shared", *self.pkg_config("--cflags", "--libs", "parley-node"))
        self.assertIn("libparley-node.so.0", run("readelf", "-d", program))
        run_example(self, program, **self.at_run_time())

    def test_pkg_config_and_a_static_program(self):
        program = self.build("static", "-static",
                             *self.pkg_config("--static", "--cflags", "--libs", "parley-node"))
        self.assertNotIn("NEEDED", run("readelf", "-d", program))
        run_example(self, program)

    def test_find_package(self):
        build = os.path.join(self.root, "consumer")
        run("cmake", "-G", "Ninja", "-S", os.path.join(HERE, "consumer"), "-B", build,
            f"-DSOURCE={EXAMPLE}",
            f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_COMPILER={os.environ['CC']}")
        run("cmake", "--build", build)
        self.assertIn("libparley-node.so.0",
                      run("readelf", "-d", os.path.join(build, "two_stores")))
        self.assertNotIn("libparley",
                         run("readelf", "-d", os.path.join(build, "two_stores_static")))
        run_example(self, os.path.join(build, "two_stores"), **self.at_run_time())
        run_example(self, os.path.join(build, "two_stores_static"))

    def test_the_programs_are_installed(self):
        for program in ("parley", "parleyd"):
            run(os.path.join(self.prefix, "bin", program), "--version")

    # ---- Symbols ----

    def test_shared_libraries_export_what_the_headers_declare(self):
        version = "_".join(("PARLEY", ".".join(self.pkg_config("--modversion", "parley")[0]
                                               .split(".")[:2])))
        for library in LIBRARIES:
            exported = self.dynamic(self.shared(library))
            self.assertEqual(sorted(self.public(library)), sorted(exported))
            self.assertEqual({version}, set(exported.values()))

    def test_shared_libraries_name_themselves_and_what_they_need(self):
        for library in LIBRARIES:
            head = run("readelf", "-d", self.shared(library))
            self.assertIn(f"Library soname: [lib{library}.so.0]", head)
            self.assertNotIn("RUNPATH", head)
            needs_engine = re.search(r"NEEDED.*\[libparley\.so\.0\]", head) is not None
            self.assertEqual(library == "parley-node", needs_engine)

    def test_archives_have_no_global_but_the_public(self):
        for library in LIBRARIES:
            lines = run("nm", "-P", "-g", "--defined-only", self.archive(library)).split("\n")
            names = {line.split()[0] for line in lines if " " in line}
            self.assertEqual(self.public(library), names)

    def test_there_is_no_global_state(self):
        found = set()
        for library in LIBRARIES:
            for line in run("objdump", "-t", self.archive(library)).split("\n"):
                parts = re.match(r"\S+ .{6}O (\S+)\s+\S+ (?:\.hidden )?(\S+)$", line)
                if parts and re.match(r"\.t?(bss|data)|\*COM\*", parts.group(1)) and \
                        not parts.group(1).startswith(".data.rel.ro"):
                    found.add(parts.group(2))
        # Some compilers make `fill` read-only; the hook shows that the search finds what there is.
        self.assertIn("panic_hook", found)
        self.assertLessEqual(found, set(WRITABLE))


if __name__ == "__main__":
    unittest.main()
