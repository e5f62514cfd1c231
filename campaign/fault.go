package campaign

import "errors"

// A Fault is an error that says a Message, for people who read it in their own language.
type Fault struct {
	Message
	cause error // that programs ask for; nil: there is none
}

// Unwrap is what the Fault tells of.
func (f *Fault) Unwrap() error { return f.cause }

// Whole reports whether the message says all that there is to say, whatever words stand
// before it in an error.
func (f *Fault) Whole() bool { return whole[f.code] }

// Faulty is the Fault of a code; after it come the name and the value of each parameter.
func Faulty(code Code, parameters ...any) error { return Because(nil, code, parameters...) }

// Because is a Fault that tells of an error.
func Because(cause error, code Code, parameters ...any) error {
	return &Fault{Say(code, parameters...), cause}
}

// Told is what an error says: its Message where it is a Fault that says all, or else English.
func Told(err error) Message {
	var fault *Fault
	if errors.As(err, &fault) && (err == error(fault) || fault.Whole()) { // others lose the words before them
		return fault.Message
	}
	return Text(err.Error())
}

func (f *Fault) Error() string { return f.String() }
