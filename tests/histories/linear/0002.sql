CREATE TABLE chatkit_notes (
    user_id TEXT NOT NULL,
    id BIGINT GENERATED ALWAYS AS IDENTITY,
    text TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT chatkit_notes_pkey PRIMARY KEY (user_id, id),
    CONSTRAINT chatkit_notes_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);
