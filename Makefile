# Every target only calls ./bootstrap, which also works where there is no make.
TARGETS := demo test check unit integration acceptance bench bench-peers faults docs site
.PHONY: $(TARGETS) soak
$(TARGETS):
	./bootstrap $@
HOURS ?= 1
soak:
	./bootstrap soak --hours $(HOURS)
