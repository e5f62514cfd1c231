// Command worker sends campaigns to the platform and serves the admin pages.
package main

import (
	"os"
	_ "time/tzdata" // there may be none on the machine

	"campaign-runner/cmd/internal/cli"
)

func main() { cli.MainService("worker", worker(os.Environ)) }
