CREATE TABLE chatkit_frame_codes (
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    code TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT chatkit_frame_codes_pkey PRIMARY KEY (user_id, session_id),
    CONSTRAINT chatkit_frame_codes_user_id_session_id_fkey FOREIGN KEY(user_id, session_id) REFERENCES chatkit_sessions (user_id, id) ON DELETE CASCADE
);
