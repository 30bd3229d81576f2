CREATE TABLE chatkit_accounts (
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    disabled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT chatkit_accounts_pkey PRIMARY KEY (user_id),
    CONSTRAINT chatkit_accounts_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);

CREATE TABLE chatkit_sign_in_attempts (
    user_id TEXT NOT NULL,
    forgotten_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT chatkit_sign_in_attempts_pkey PRIMARY KEY (user_id)
);
