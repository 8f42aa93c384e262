/** The prefixes bind a cookie to this host, and to TLS (RFC 6265bis section 4.1.3). */
export const cookieNames = {
  session: '__Host-bankside_session',
  interaction: '__Secure-bankside_interaction',
  resume: '__Secure-bankside_resume',
} as const
