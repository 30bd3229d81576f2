CREATE TABLE chatkit_email_days (
    user_id TEXT NOT NULL,
    day DATE NOT NULL,
    sent INTEGER NOT NULL,
    CONSTRAINT chatkit_email_days_pkey PRIMARY KEY (user_id, day),
    CONSTRAINT chatkit_email_days_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE
);
