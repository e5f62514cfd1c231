<?php

// The texts of the rules in use, as laravel/laravel 8 has them in
// resources/lang/en/validation.php, for Debian packages the framework alone.
return [
    'validation.array' => 'The :attribute must be an array.',
    'validation.in' => 'The selected :attribute is invalid.',
    'validation.integer' => 'The :attribute must be an integer.',
    'validation.max.array' => 'The :attribute must not have more than :max items.',
    'validation.max.string' => 'The :attribute must not be greater than :max characters.',
    'validation.regex' => 'The :attribute must be a valid phone number.', // its own words: the rule is in use for nothing else
    'validation.required' => 'The :attribute field is required.',
    'validation.string' => 'The :attribute must be a string.',
    'validation.url' => 'The :attribute must be a valid URL.',
];
