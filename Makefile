# Makefile - `make help` lists the verbs.
include config.mk

COMMIT := $(shell git describe --always --dirty 2>/dev/null || echo unknown)
B      := $(BUILD)/$(shell echo '$(CC) $(ALL_CFLAGS) $(DEFS) $(GREATEST) $(SIMT_OPT) $(if $(HAVE_NVCC),$(GENCODE))' | cksum | cut -d' ' -f1)
INC    := -Iinclude -Ihost -I. -I$(B)
Q      := $(if $(V),,@)

LIB_SRC   := $(sort $(wildcard host/*/*.c models/*.c))
CMD_SRC   := $(sort $(wildcard tools/*.c))
TEST_SRC  := $(sort $(wildcard tests/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
obj       = $(patsubst %.c,$(B)/%.o,$(1))
CU_SRC    := $(sort $(wildcard kernels/*.cu))
LIB_OBJ   := $(call obj,$(LIB_SRC)) $(B)/onnx.pb-c.o $(if $(HAVE_NVCC),$(patsubst %.cu,$(B)/%.o,$(CU_SRC)))
FLOOR_OBJ := $(call obj,$(filter host/floor/%,$(LIB_SRC)) host/base/status.c host/base/memory.c)
VERBS     := $(patsubst tools/cmd_%.c,%,$(filter tools/cmd_%.c,$(CMD_SRC)))
SUITES    := $(patsubst tests/test_%.c,%,$(filter tests/test_%.c,$(TEST_SRC)))
BENCHES   := $(patsubst bench/bench_%.c,%,$(filter bench/bench_%.c,$(BENCH_SRC)))

.DEFAULT_GOAL := all
.PHONY: all demo check check-now check-san check-oom check-bites check-fuzz bench install config help deps clean format lib
.DELETE_ON_ERROR:

all: config $(CMD) $(B)/libohmtrim-floor.a

help:
	@echo 'make            build the command ./ohmtrim and the library'
	@echo 'make demo       install what is missing, build, run a whole campaign on real images (Fashion-MNIST)'
	@echo 'make check      install what is missing, build, run all tests; ends with "N passed, N failed, N skipped"'
	@echo 'make check-san  the tests under AddressSanitizer and UBSan'
	@echo 'make check-simt-san, check-simt-race  the CUDA kernels on the emulator, under sanitizers: memory, races between CUDA threads'
	@echo 'make check-barriers  each barrier of the CUDA kernels left out: the tests must go red'
	@echo 'make check-oom  the tests in which the n-th allocation fails, for every n'
	@echo 'make check-bites  seeded faults: each must turn the tests red'
	@echo 'make check-fuzz   fuzz every file reader for a short while (clang)'
	@echo 'make check-config the tests without each optional part'
	@echo 'make bench      benchmarks against their baselines; JSON lines'
	@echo 'make gpu-pack   what bench/gpu.sh takes along to a machine with a GPU'
	@echo 'make install    to PREFIX=$(PREFIX), with ohmtrim.pc'
	@echo 'make deps       install the Debian packages that are needed (or print the line)'
	@echo 'make config     what was found; NO_DNNL=1 switches oneDNN off, NO_CUDA=1 the GPU'
	@echo 'make format     clang-format on our sources; make clean'

CUDA_SAYS = $(if $(HAVE_NVCC),(sm $(SMS) and newer; GPU_ARCH=90 builds for one; NO_CUDA=1 switches it off),$(if $(NO_CUDA),(NO_CUDA=1),(no working nvcc$(if $(SMS), for sm $(SMS)): no GPU; set CUDA_PATH)))
yes_no = $(if $(1),yes,no )
config:
	@echo "required: protobuf-c $(call yes_no,$(HAVE_PROTOBUF_C)) zlib $(call yes_no,$(HAVE_ZLIB)) sqlite $(call yes_no,$(HAVE_SQLITE)) libcyaml $(call yes_no,$(HAVE_CYAML)) cjson $(call yes_no,$(HAVE_CJSON)) lapacke $(call yes_no,$(HAVE_LAPACKE))"
	@echo "optional: oneDNN $(call yes_no,$(HAVE_DNNL))$(if $(HAVE_DNNL),,(without: a plain convolution, slower; libdnnl-dev)) gnuplot $(call yes_no,$(HAVE_GNUPLOT))$(if $(HAVE_GNUPLOT),,(without: no plots; gnuplot-nox))"
	@echo "          CUDA $(call yes_no,$(HAVE_NVCC)) $(CUDA_SAYS)"
	@$(if $(MISSING),echo "missing: $(MISSING) - run 'make deps'"; exit 1,echo "objects in $(B)")

deps:
	@tools/install-deps

lib: $(B)/libohmtrim.a $(B)/libohmtrim-floor.a

$(CMD): $(B)/ohmtrim
	$(Q)cp -f $< $@.new && mv -f $@.new $@

$(B)/ohmtrim: $(call obj,$(CMD_SRC)) $(B)/libohmtrim.a
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

$(B)/libohmtrim.a: $(LIB_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

# What a test floor links: the same objects, and nothing but the C library and libm behind them.
$(B)/libohmtrim-floor.a: $(FLOOR_OBJ)
	$(Q)rm -f $@ && ar rcs $@ $^

$(B)/tests/run: $(call obj,$(TEST_SRC)) $(B)/libohmtrim.a
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

$(B)/bench/bench_%: $(B)/bench/bench_%.o $(call obj,$(filter-out bench/bench_%,$(BENCH_SRC))) $(B)/libohmtrim.a
	$(Q)$(CC) $(SAN) -o $@ $^ $(LIBS)

# Lists made from what lies in the folders: a verb, a suite or a benchmark is added by adding its file.
list = $(foreach n,$(2),X($(n))\n)
$(B)/verbs.inc: FORCE | $(B)
	$(Q)printf '$(call list,,$(VERBS))' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/suites.inc: FORCE | $(B)
	$(Q)printf '$(call list,,$(SUITES))' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/commit.inc: FORCE | $(B)
	$(Q)echo '"$(COMMIT)"' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B):
	$(Q)mkdir -p $@
FORCE:
$(B)/tools/ohmtrim.o: $(B)/verbs.inc
$(B)/tests/main.o: $(B)/suites.inc
$(B)/host/base/build.o: $(B)/commit.inc

$(B)/onnx.pb-c.c: $(PROTO_DIR) | $(B)
	$(Q)protoc-c --proto_path=$(dir $(PROTO_DIR)) --c_out=$(B) onnx.proto
$(B)/onnx.pb-c.h: $(B)/onnx.pb-c.c ;
$(B)/onnx.pb-c.o: $(B)/onnx.pb-c.c
	@echo '  cc $(notdir $<)'
	$(Q)$(CC) -std=c11 $(OPT) $(SAN) -fPIC -I$(B) -c -o $@ $<
$(call obj,$(filter host/network/%,$(LIB_SRC)) $(TEST_SRC)): | $(B)/onnx.pb-c.c

$(B)/%.o: %.c
	@mkdir -p $(dir $@)
	@echo '  cc $<'
	$(Q)$(CC) $(ALL_CFLAGS) $(FILE_CFLAGS) $(DEFS) $(INC) -MMD -MP -c -o $@ $<
# Kernels.  Drawing must give the bits of the CPU, so nothing may be fused there but what says so.
$(B)/kernels/%.o: kernels/%.cu
	@mkdir -p $(dir $@)
	@echo '  nvcc $<'
	$(Q)$(NVCC) $(NVCC_FLAGS) $(GENCODE) $(FILE_NVCC_FLAGS) -I. -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
$(B)/kernels/draw.o: FILE_NVCC_FLAGS := --fmad=false
$(B)/host/backend/cuda%.o $(B)/bench/bench_gpu.o: FILE_CFLAGS := $(CUDA_INC)
$(B)/host/chip/draw_v3.o: FILE_CFLAGS := $(if $(HAVE_X86_LEVELS),-march=x86-64-v3)
$(B)/host/chip/draw_v4.o: FILE_CFLAGS := $(if $(HAVE_X86_LEVELS),-march=x86-64-v4 -mprefer-vector-width=512)
$(B)/host/test/product_v3.o: FILE_CFLAGS := $(if $(HAVE_X86_LEVELS),-march=x86-64-v3)
$(B)/host/test/product_v4.o: FILE_CFLAGS := $(if $(HAVE_X86_LEVELS),-march=x86-64-v4)
# The loops of the cpu backend: the same text for 1, 4, 8, 16 channels; fused multiply-add is wanted here.
$(B)/host/backend/cpu_loops_%.o: FILE_CFLAGS = -ffp-contract=fast $(CPU_LEVEL)
$(B)/host/backend/cpu_loops_8.o: CPU_LEVEL := $(if $(HAVE_X86_LEVELS),-march=x86-64-v3)
$(B)/host/backend/cpu_loops_16.o: CPU_LEVEL := $(if $(HAVE_X86_LEVELS),-march=x86-64-v4)
$(B)/tests/%.o: FILE_CFLAGS := $(if $(GREATEST),-I$(GREATEST)) -Itests -DOT_TESTS_DIR='"$(CURDIR)/tests"'
-include $(shell find $(B) -name '*.d' 2>/dev/null)

# The cuda backend on the CPU: kernels/ and host/backend/cuda*.c against the emulator and the stand-in runtime of tests/simt.
SIMT_SUITES := backend input_gradient quantised spike $(patsubst tests/simt/test_%.c,%,$(sort $(wildcard tests/simt/test_*.c)))
SIMT_C    := host/backend/backend.c $(wildcard host/backend/cuda*.c) $(addprefix tests/,check.c main.c naive.c nets.c backend_cases.c onnx_build.c test_backend.c test_input_gradient.c test_quantised.c test_spike.c) \
             $(sort $(wildcard tests/simt/*.c))
SIMT_OBJ  := $(patsubst %.c,$(B)/simt/%.o,$(SIMT_C)) $(patsubst %.cu,$(B)/simt/%.o,$(CU_SRC) $(wildcard tests/simt/*.cu)) $(patsubst %.cpp,$(B)/simt/%.o,$(wildcard tests/simt/*.cpp))
SIMT_INC  := -I$(B)/simt -Itests/simt -Itests $(INC)
SIMT_CXX  := $(CXX) -std=c++17 $(SIMT_OPT) $(filter-out -Wstrict-prototypes -Wmissing-prototypes -Wshadow,$(WARN)) -Wno-unknown-pragmas $(MATHS) $(SAN) -pthread $(SIMT_INC) -MMD -MP
$(B)/simt/suites.inc: FORCE | $(B)
	$(Q)mkdir -p $(dir $@); printf '$(call list,,$(SIMT_SUITES))' > $@.new; cmp -s $@.new $@ && rm $@.new || mv $@.new $@
$(B)/simt/tests/main.o: $(B)/simt/suites.inc
$(B)/simt/tests/onnx_build.o $(B)/simt/tests/test_spike.o $(B)/simt/tests/test_quantised.o: | $(B)/onnx.pb-c.c
$(B)/simt/%.o: %.c
	@mkdir -p $(dir $@)
	@echo '  cc $< (emulated)'
	$(Q)$(CC) $(ALL_CFLAGS) $(DEFS) -DOT_HAVE_CUDA=1 -DOT_SIMT=1 -DOT_TESTS_DIR='"$(CURDIR)/tests"' $(SIMT_INC) -MMD -MP -c -o $@ $<
$(B)/simt/%.o: %.cu
	@mkdir -p $(dir $@)
	@echo '  simt $<'
	$(Q)$(SIMT_CXX) -x c++ -c -o $@ $<
$(B)/simt/%.o: %.cpp
	@mkdir -p $(dir $@)
	@echo '  c++ $<'
	$(Q)$(SIMT_CXX) -c -o $@ $<
$(B)/tests/run-simt: $(SIMT_OBJ) $(B)/libohmtrim.a
	@mkdir -p $(dir $@)
	$(Q)$(CXX) $(SAN) -o $@ $^ $(LIBS)
# The GPU benchmark on the emulator, so that its own lines run without a GPU (tiny sizes; its times mean nothing).
$(B)/bench/bench_gpu-simt: $(B)/simt/bench/bench_gpu.o $(B)/simt/bench/gpu_train.o $(filter-out $(B)/simt/tests/%.o,$(SIMT_OBJ)) $(patsubst %.cpp,$(B)/simt/%.o,$(wildcard tests/simt/*.cpp)) $(B)/libohmtrim.a
	@mkdir -p $(dir $@)
	$(Q)$(CXX) $(SAN) -o $@ $^ $(LIBS)
tests-simt: $(B)/tests/run-simt $(B)/bench/bench_gpu-simt
	$(Q)cp -f $< $(BUILD)/run-simt; cp -f $(B)/bench/bench_gpu-simt $(BUILD)/bench_gpu-simt
# The same runner under sanitizers: memory, and races between CUDA threads.
SAN_MAKE = @$(MAKE) --no-print-directory -j$(JOBS) NO_CUDA=1 OPT='-O1 -g' SIMT_OPT='-O1 -g'
check-simt-san:
	$(SAN_MAKE) BUILD=$(BUILD)/simt-san SANITIZE=address,undefined tests-simt
	@OT_SMALL=1 tests/run-simt.sh $(BUILD)/simt-san/run-simt $(filter-out campaigns,$(SIMT_SUITES))      # whole campaigns take a quarter of an hour there
run-simt-race:
	$(SAN_MAKE) BUILD=$(BUILD)/simt-race SANITIZE=thread tests-simt
check-simt-race: run-simt-race
	@OT_SMALL=1 tests/run-simt.sh $(BUILD)/simt-race/run-simt simt orders launchers
check-barriers: tests-simt run-simt-race
	@RUN=$(BUILD)/run-simt RACE=$(BUILD)/simt-race/run-simt tests/check-barriers.sh
.PHONY: tests-simt check-simt-san check-simt-race run-simt-race check-barriers

JOBS := $(shell nproc 2>/dev/null || echo 2)

check:
	@tools/install-deps --check
	@$(MAKE) --no-print-directory -j$(JOBS) $(CMD) tests tests-simt
	@$(MAKE) --no-print-directory check-now

check-now: config $(CMD) $(B)/tests/run $(if $(NO_SIMT),,$(B)/tests/run-simt $(B)/bench/bench_gpu-simt)
	@OHMTRIM=$(abspath $(CMD)) RUNNER=$(B)/tests/run RUNNER_SIMT=$(B)/tests/run-simt tests/run.sh $(if $(NO_SIMT),,$(addprefix simt:,$(SIMT_SUITES))) $(SUITES)

check-san:
	@$(MAKE) --no-print-directory -j$(JOBS) CMD=$(BUILD)/ohmtrim-san BUILD=$(BUILD)/san SANITIZE=address,undefined OPT='-O1 -g' NO_CUDA=1 NO_SIMT=1 check-now

demo:
	@tools/install-deps
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@OHMTRIM=$(abspath $(CMD)) examples/demo.sh

bench: config $(CMD) $(addprefix $(B)/bench/bench_,$(BENCHES))
	@for b in $(BENCHES); do $(B)/bench/bench_$$b || exit 1; done
	@bench/compare_torch.sh $(B)/bench/bench_plan
	@bench/compare_train.sh $(B)/bench/bench_train

# For bench/gpu.sh on a machine with a GPU and none of the libraries.
gpu-pack:
	@$(MAKE) --no-print-directory -j$(JOBS) NO_DNNL=1 CMD=$(BUILD)/ohmtrim-gpu gpu-pack-now
gpu-pack-now: config $(CMD) $(B)/tests/run $(B)/bench/bench_gpu
	$(if $(HAVE_NVCC),,@echo 'gpu-pack: this build has no CUDA: no working nvcc was found' >&2; exit 3)
	@bench/gpu-pack $(BUILD)/gpu $(B) $(CMD)
.PHONY: gpu-pack gpu-pack-now

format:
	clang-format -i $$(git ls-files '*.c' '*.h' | grep -v greatest.h)

clean:
	rm -rf $(BUILD) $(CMD)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/ohmtrim
	install -m 755 $(CMD) $(DESTDIR)$(PREFIX)/bin/ohmtrim
	install -m 644 $(B)/libohmtrim.a $(B)/libohmtrim-floor.a $(DESTDIR)$(PREFIX)/lib/
	install -m 644 include/ohmtrim.h $(DESTDIR)$(PREFIX)/include/
	install -m 644 include/ohmtrim/*.h $(DESTDIR)$(PREFIX)/include/ohmtrim/
	printf 'prefix=%s\nName: ohmtrim\nDescription: test and tune neural-network chips of resistive memory\nVersion: %s\nCflags: -I$${prefix}/include\nLibs: -L$${prefix}/lib -lohmtrim $(LIBS)\n' \
	    '$(PREFIX)' "$$(sed -n 's/^#define OT_VERSION "\(.*\)"/\1/p' include/ohmtrim/base.h)" > $(DESTDIR)$(PREFIX)/lib/pkgconfig/ohmtrim.pc
	printf 'prefix=%s\nName: ohmtrim-floor\nDescription: judge and mend chips on the test floor from a recipe\nVersion: %s\nCflags: -I$${prefix}/include\nLibs: -L$${prefix}/lib -lohmtrim-floor -lm\n' \
	    '$(PREFIX)' "$$(sed -n 's/^#define OT_VERSION "\(.*\)"/\1/p' include/ohmtrim/base.h)" > $(DESTDIR)$(PREFIX)/lib/pkgconfig/ohmtrim-floor.pc

check-oom: config tests
	@$(BUILD)/run -t allocation

check-bites:
	@tests/check-bites.sh

check-fuzz:
	@tools/install-deps --check
	@tests/check-fuzz.sh $(FUZZ_SECONDS)

# The tests without each optional part.
check-config:
	@$(MAKE) --no-print-directory -j$(JOBS) NO_DNNL=1 NO_SIMT=1 CMD=$(BUILD)/ohmtrim-no-dnnl BUILD=$(BUILD)/no-dnnl check-now
	@$(MAKE) --no-print-directory -j$(JOBS) NO_CUDA=1 NO_SIMT=1 CMD=$(BUILD)/ohmtrim-no-cuda BUILD=$(BUILD)/no-cuda check-now

# For scripts: where objects lie, what is linked.
where:
	@echo $(B)
libs:
	@echo $(LIBS)
.PHONY: where libs check-config

# `make tests` builds the runner and leaves it at $(BUILD)/run.
tests: $(B)/tests/run
	$(Q)cp -f $< $(BUILD)/run
.PHONY: tests
