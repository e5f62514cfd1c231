package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// Confirm asks for a word before doing what cannot be undone, as "cancel it". It asks
// nobody, and agrees, when stdin is no terminal: a script has decided already.
func Confirm(stdin io.Reader, stderr io.Writer, word, doing string) error {
	if !IsTerminal(stdin) {
		return nil
	}
	fmt.Fprintf(stderr, "This cannot be undone. Type %s to %s: ", word, doing)
	typed, _ := bufio.NewReader(stdin).ReadString('\n') // at the end of the input, too, what was typed counts
	if strings.TrimSpace(typed) != word {
		return fmt.Errorf("%s was not typed; nothing was done", word)
	}
	return nil
}
