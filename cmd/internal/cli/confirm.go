package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Interruptible is stdin for a command that ends with ctx: who presses Ctrl-C at a question
// has answered it, and need not press it again. What was to be read then is lost.
func Interruptible(ctx context.Context, stdin io.Reader) io.Reader {
	return &interruptible{ctx, stdin}
}

type interruptible struct {
	ctx   context.Context
	stdin io.Reader
}

func (i *interruptible) Read(p []byte) (int, error) {
	type reading struct {
		n   int
		err error
	}
	text, read := make([]byte, len(p)), make(chan reading, 1) // nobody may take it any more
	go func() {
		n, err := i.stdin.Read(text)
		read <- reading{n, err}
	}()
	select {
	case r := <-read:
		return copy(p, text[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, i.ctx.Err()
	}
}

// Terminal is the terminal that stream is, for a person who looks at it or types into it.
func Terminal(stream any) (terminal *os.File, ok bool) {
	if i, wrapped := stream.(*interruptible); wrapped {
		stream = i.stdin
	}
	file, ok := stream.(*os.File)
	return file, ok && isTerminal(file)
}

// Ask reads the line that answers a question, without the white space around it. At the end
// of the input, too, what was typed counts.
func Ask(stdin io.Reader, stderr io.Writer, question string) (string, error) {
	fmt.Fprint(stderr, question)
	typed, err := bufio.NewReader(stdin).ReadString('\n')
	switch {
	case errors.Is(err, context.Canceled):
		return "", Interruptedf("interrupted; nothing was done")
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimSpace(typed), nil
}

// Confirm asks for a word before doing what cannot be undone, as "cancel it". It asks
// nobody, and agrees, when stdin is no terminal: a script has decided already.
func Confirm(stdin io.Reader, stderr io.Writer, word, doing string) error {
	if !IsTerminal(stdin) {
		return nil
	}
	typed, err := Ask(stdin, stderr, fmt.Sprintf("This cannot be undone. Type %s to %s: ", word, doing))
	if err == nil && typed != word {
		err = fmt.Errorf("%s was not typed; nothing was done", word)
	}
	return err
}
