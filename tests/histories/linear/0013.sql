CREATE TABLE chatkit_token_days (
    user_id TEXT NOT NULL,
    day DATE NOT NULL,
    tokens BIGINT NOT NULL,
    CONSTRAINT chatkit_token_days_pkey PRIMARY KEY (user_id, day)
);

INSERT INTO chatkit_token_days (user_id, day, tokens)
SELECT user_id, CAST(timezone('UTC', started_at) AS DATE), sum(tokens_in + tokens_out)
FROM chatkit_runs
WHERE started_at >= date_trunc('day', now(), 'UTC') AND tokens_in + tokens_out > 0
GROUP BY 1, 2;

ALTER TABLE chatkit_token_days ADD CONSTRAINT chatkit_token_days_user_id_fkey FOREIGN KEY(user_id) REFERENCES chatkit_users (id) ON DELETE CASCADE;
