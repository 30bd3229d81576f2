CREATE TABLE chatkit_id_tokens (
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    token TEXT NOT NULL,
    CONSTRAINT chatkit_id_tokens_pkey PRIMARY KEY (user_id, session_id),
    CONSTRAINT chatkit_id_tokens_user_id_session_id_fkey FOREIGN KEY(user_id, session_id) REFERENCES chatkit_sessions (user_id, id) ON DELETE CASCADE
);
