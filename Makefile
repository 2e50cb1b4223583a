# Every target only calls ./bootstrap, which also works where there is no make.
TARGETS := demo test check unit integration acceptance bench docs site
.PHONY: $(TARGETS)
$(TARGETS):
	./bootstrap $@
