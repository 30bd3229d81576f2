/** Where the application answers; browsers never see this address. */
export const BACKEND_URL = process.env.BACKEND_URL || "http://127.0.0.1:8000";
