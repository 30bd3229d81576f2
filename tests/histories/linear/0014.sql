ALTER TABLE chatkit_sessions DROP COLUMN frame_code_at;

ALTER TABLE chatkit_sessions DROP COLUMN frame_code;
