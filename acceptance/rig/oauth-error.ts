import * as openid from 'openid-client'

/** What a server said no with. @throws when it said yes. */
export async function oauthError(pending: Promise<unknown>): Promise<string> {
  try {
    await pending
  } catch (error) {
    if (error instanceof openid.ResponseBodyError || error instanceof openid.AuthorizationResponseError) return error.error
    throw error
  }
  throw new Error('it was not refused')
}

/** The error of a `WWW-Authenticate` challenge. */
export function challengeError(headers: Headers): string | undefined {
  return /error="([^"]+)"/.exec(headers.get('www-authenticate') ?? '')?.[1]
}
