//go:build !linux

// Package terminal gives tests a terminal, for what a command does only when a person looks.
// Only on Linux.
package terminal
