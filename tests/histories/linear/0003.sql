CREATE TABLE chatkit_sessions (
    user_id TEXT NOT NULL,
    id TEXT NOT NULL,
    name TEXT,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_sessions_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_sessions_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);
