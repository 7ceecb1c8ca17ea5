// Built by ./build only, in a copy: it says there where Pitaya is, and takes the versions that Pitaya asks for.
module peer

go 1.25

require github.com/topfreegames/pitaya/v3 v3.0.0
