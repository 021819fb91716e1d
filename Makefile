# Where `make` is missing, `python3 dev.py demo` and `python3 dev.py test` do the same.
PYTHON ?= python3

.PHONY: demo test lint

demo:  ## set up and turn the bundled ECG into a clip
	@$(PYTHON) dev.py demo

test:  ## set up and run the tests; `make test ARGS="-k ecg -x"` passes arguments on to pytest
	@$(PYTHON) dev.py test $(ARGS)

lint:  ## set up and run ruff
	@$(PYTHON) dev.py lint
