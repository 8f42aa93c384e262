import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'

export type Log = Logger

/**
 * JSON lines on standard output. What a line may hold is decided where it is written; this is the second line of defence:
 * fields with these names are blanked, and errors are written without the values a database or library hung on them.
 */
export function createLog({ level, name }: { level: string; name: string }, destination?: DestinationStream): Log {
  return pino(
    {
      level,
      name,
      timestamp: stdTimeFunctions.isoTime,
      redact: { paths: secretFields.flatMap((field) => ['', '*', '*.*'].map((parent) => pathTo(parent, field))), censor: '[redacted]' },
      serializers: { err: (error) => withoutValues(error), error: (error) => withoutValues(error) },
    },
    destination,
  )
}

function pathTo(parent: string, field: string): string {
  return parent === '' || field.startsWith('[') ? parent + field : `${parent}.${field}`
}

const secretFields = [
  ...['authorization', 'cookie', 'set-cookie', 'dpop', 'client-cert'],
  ...['access_token', 'refresh_token', 'id_token', 'token', 'authorization_code', 'client_assertion', 'request_uri', 'code_verifier'],
  ...['password', 'secret', 'totp_secret', 'page_token', 'jwks', 'private_key'],
  ...['username', 'email', 'phone', 'iban', 'accountNumber', 'sortCode', 'holderName', 'fullName'],
].map((field) => (field.includes('-') ? `["${field}"]` : field))

const maxCauses = 5

/** Name, message, stack, code and constraint, down the causes. Query values and PostgreSQL's `detail` hold rows of customers. */
function withoutValues(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: `not an error: ${typeof error}` }
  const { code, constraint } = error as { code?: unknown; constraint?: unknown }
  return {
    type: error.constructor.name,
    message: error.message,
    stack: error.stack,
    ...(typeof code === 'string' && { code }),
    ...(typeof constraint === 'string' && { constraint }),
    ...(error.cause !== undefined && depth < maxCauses && { cause: withoutValues(error.cause, depth + 1) }),
  }
}
