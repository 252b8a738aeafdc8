# The commands of the README. Each installs what is missing and costs nothing when repeated.
MESON_TEST = meson test --no-rebuild --print-errorlogs
# One with faster-whisper and piper-tts measures those too.
PYTHON ?= python3

.PHONY: build onnxruntime demo models check check-all check-arm bench bench-models bench-stream bench-server soak wheel install uninstall help setup asan testenv
build: setup build/build.ninja
	@ninja -C build

setup:
	@scripts/setup.sh

build/build.ninja: | setup
	@meson setup build >build.log 2>&1 || { cat build.log; rm -rf build build.log; exit 1; }
	@mv build.log build/setup.log

testenv: setup
	@scripts/setup.sh test
	@scripts/testenv.sh

asan: setup build-asan/build.ninja
	@ninja -C build-asan

build-asan/build.ninja: | setup
	@meson setup build-asan -Db_sanitize=address,undefined -Db_lundef=false >build-asan.log 2>&1 || \
		{ cat build-asan.log; rm -rf build-asan build-asan.log; exit 1; }
	@mv build-asan.log build-asan/setup.log

models: build
	@build/sonant models pull base tiny.en joe silero-vad deepfilternet3 dnsmos

demo: build
	@build/sonant models pull base joe silero-vad
	@scripts/demo.sh

# What the second backend needs, by package name. A build that was set up without it is set up again.
onnxruntime: setup
	@scripts/onnxruntime.sh library build/onnxruntime/lib || echo "onnxruntime: not fetched; what needs it is left out or skipped"
	@for dir in build build-asan; do \
		[ ! -f $$dir/build.ninja ] || [ ! build/onnxruntime/include/onnxruntime_c_api.h -nt $$dir/build.ninja ] || \
			meson setup --reconfigure $$dir >/dev/null || exit 1; done

# The suite in a normal build and in one that watches memory and undefined behaviour.
check: onnxruntime build asan models testenv
	@rm -f build/meson-logs/testlog.json build-asan/meson-logs/testlog.json
	@$(MESON_TEST) -C build --no-suite long; $(MESON_TEST) -C build-asan --no-suite long --timeout-multiplier 6; \
		scripts/count.py build build-asan

# And the long tests, other instruction sets, and a minute of each fuzz target.
check-all: check
	@scripts/check-all.sh

# The AArch64 build under emulation.
check-arm: setup
	@scripts/check-arm.sh

bench: build models
	@$(PYTHON) bench/compare.py $(BENCH)

# Every model on full-size checkpoints of random weights; PYTHON= one that has torch and transformers.
bench-models: build
	@$(PYTHON) bench/models.py $(BENCH)

# Live captions and streamed speech at the pace of the clock: what a user waits for.
bench-stream: build models
	@$(PYTHON) bench/stream.py $(BENCH)

# What clients of a loaded server see; BENCH="--peer NAME=URL" measures others that are running beside it.
bench-server: build models testenv
	@build/testenv/bin/python bench/server.py $(BENCH)

# Mixed load for MINUTES; fails on growth, lost jobs, wrong replies.
soak: build models testenv
	@build/testenv/bin/python bench/soak.py --minutes $(or $(MINUTES),60) $(BENCH)

# For others to install: with every library that it needs, in dist/.
wheel: setup
	@scripts/wheel.py

install: build
	@[ -z "$(PREFIX)" ] || meson configure build -Dprefix="$(PREFIX)"
	@meson install -C build $(if $(DESTDIR),--destdir "$(DESTDIR)") --quiet
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" -ne 0 ] || PATH="$$PATH:/usr/sbin:/sbin" ldconfig

uninstall: build/build.ninja
	@scripts/uninstall.py build $(DESTDIR)

help:
	@echo "make build      build/sonant"
	@echo "make demo       transcribes a clip and speaks a sentence with real models"
	@echo "make models     installs the default models in \$$SONANT_HOME (~/.cache/sonant)"
	@echo "make check      all tests, in a normal and in a sanitizer build"
	@echo "make check-all  and the long ones: other instruction sets, fuzzing, AArch64"
	@echo "make check-arm  the AArch64 build, cross-compiled and run under qemu"
	@echo "make bench      speed beside other engines; PYTHON= one that has them, BENCH= options of bench/compare.py"
	@echo "make bench-models  every model beside PyTorch; PYTHON= one that has torch and transformers"
	@echo "make bench-stream  waiting times of live captions and streamed speech"
	@echo "make bench-server  what clients of a loaded server see, beside other servers"
	@echo "make soak       mixed load for MINUTES=60: growth, leaks, lost jobs"
	@echo "make wheel      dist/sonant-*.whl with all that it needs, for pip on other machines"
	@echo "make install    PREFIX=/usr/local DESTDIR="
	@echo "make uninstall  takes it away again; DESTDIR="
