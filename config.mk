# config.mk - finds out what is there by compiling and linking, and says what it found (`make config`).
#
# Switch parts off with NO_DNNL=1, NO_CUDA=1.  Overrides: CC, CUDA_PATH (the toolkit), GPU_ARCH (90, or "80 90"), PREFIX, BUILD (folder of objects), CMD (where the command is left), WERROR=1,
# SANITIZE=address,undefined, GREATEST=DIR (the real greatest.h), V=1 (show commands).

CC      ?= gcc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
BUILD   ?= build
CMD     ?= ohmtrim

OPT     ?= -O3 -g
SIMT_OPT ?= -O2 -g -march=native
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes $(if $(WERROR),-Werror)
# No -ffast-math: NaN must stay visible.  Without the last two gcc does not vectorise sqrt (drawing is six times slower).
MATHS   := -ffp-contract=off -fno-math-errno -fno-trapping-math
SAN     := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all)
CFLAGS  ?=
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE $(OPT) $(WARN) $(MATHS) $(SAN) -pthread -fPIC $(CFLAGS)

# probe: does this C text compile and link with these flags?
probe = $(shell printf '%b' '$(2)' | $(CC) -x c - -o /dev/null $(1) >/dev/null 2>&1 && echo 1)

PROTO_DIR   := $(firstword $(wildcard $(addsuffix /onnx/onnx.proto,/usr/include /usr/local/include)))
HAVE_PROTOBUF_C := $(and $(PROTO_DIR),$(shell command -v protoc-c),$(call probe,-lprotobuf-c,#include <protobuf-c/protobuf-c.h>\nint main(void){return protobuf_c_version()==0;}))
HAVE_ZLIB   := $(call probe,-lz,#include <zlib.h>\nint main(void){return !zlibVersion();})
HAVE_SQLITE := $(call probe,-lsqlite3,#include <sqlite3.h>\nint main(void){return !sqlite3_libversion();})
HAVE_CYAML  := $(call probe,-lcyaml,#include <cyaml/cyaml.h>\nint main(void){return !cyaml_version_str;})
HAVE_CJSON  := $(call probe,-lcjson,#include <cjson/cJSON.h>\nint main(void){return !cJSON_Version();})
HAVE_LAPACKE := $(call probe,-llapacke -llapack -lblas,#include <lapacke.h>\nint main(void){double a=1;return LAPACKE_dpotrf(LAPACK_ROW_MAJOR,85,1,&a,1);})
ifndef NO_DNNL
HAVE_DNNL   := $(call probe,-ldnnl,#include <dnnl.h>\nint main(void){return !dnnl_version();})
endif
# The drawing loop is built for three levels of x86-64 and the fastest the processor has is taken (host/chip/pick.c).
HAVE_X86_LEVELS := $(call probe,-march=x86-64-v4,#ifndef __x86_64__\n#error not x86-64\n#endif\nint main(void){return 0;})
HAVE_GNUPLOT := $(shell command -v gnuplot >/dev/null 2>&1 && echo 1)


# CUDA: nvcc of CUDA_PATH or of the path.  It must compile for the first architecture and its runtime must link with our C compiler.
ifndef NO_CUDA
ifndef CUDA_PATH
CUDA_PATH   := $(patsubst %/bin/nvcc,%,$(firstword $(shell command -v nvcc 2>/dev/null) $(wildcard /usr/local/cuda/bin/nvcc)))
endif
NVCC        := $(CUDA_PATH)/bin/nvcc
CUDA_INC    := -isystem $(CUDA_PATH)/include
CUDA_LIBS   := $(addprefix -L,$(wildcard $(CUDA_PATH)/lib64 $(CUDA_PATH)/lib)) -lcudart_static -lrt -ldl -lpthread -lstdc++
# The architectures that are wanted and that this nvcc knows, and PTX of the last for newer GPUs.  CUDA 13 no longer knows 70.
WANT        ?= 70 75 80 86 89 90 100 120
NVCC_KNOWS  := $(patsubst compute_%,%,$(shell $(NVCC) --list-gpu-arch 2>/dev/null))
SMS         := $(or $(GPU_ARCH),$(filter $(NVCC_KNOWS),$(WANT)))
GENCODE     := $(foreach s,$(SMS),-gencode arch=compute_$(s),code=sm_$(s)) -gencode arch=compute_$(lastword $(SMS)),code=compute_$(lastword $(SMS))
NVCC_FLAGS  := -std=c++17 -O3 -Xcompiler -fPIC,-O2
# nvcc takes a second to say: a make that was started by ours is told (NVCC_WORKS).
ifneq ($(NVCC_WORKS),$(NVCC) $(SMS))
NVCC_WORKS  := $(shell d=$$(mktemp -d) && printf '__global__ void k(int *p) { *p = 1; }\nint main() { k<<<1, 1>>>(nullptr); }\n' >$$d/k.cu && \
                       $(NVCC) -arch=compute_$(firstword $(SMS)) -c -o $$d/k.o $$d/k.cu >/dev/null 2>&1 && echo '$(NVCC) $(SMS)'; rm -rf $$d)
export NVCC_WORKS
endif
HAVE_NVCC   := $(and $(SMS),$(NVCC_WORKS),$(call probe,$(CUDA_INC) $(CUDA_LIBS),#include <cuda_runtime_api.h>\nint main(void){return cudaGetLastError();}))
endif

REQUIRED := PROTOBUF_C ZLIB SQLITE CYAML CJSON LAPACKE
MISSING  := $(strip $(foreach r,$(REQUIRED),$(if $(HAVE_$(r)),,$(r))))

LIBS := -lprotobuf-c -lz -lsqlite3 -lcyaml -lcjson -llapacke -llapack -lblas $(if $(HAVE_DNNL),-ldnnl) $(if $(HAVE_NVCC),$(CUDA_LIBS)) -lm -pthread
DEFS := $(if $(HAVE_DNNL),-DOT_HAVE_DNNL=1) $(if $(HAVE_X86_LEVELS),-DOT_DRAW_X86=1 -DOT_CPU_X86=1) $(if $(HAVE_NVCC),-DOT_HAVE_CUDA=1)
