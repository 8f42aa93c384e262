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
      // Not pino's own redaction: its wildcard paths cost more than all the rest of a request's line.
      formatters: { log: (fields) => blanked(fields), bindings: (fields) => blanked(fields) },
      serializers: { err: (error) => withoutValues(error), error: (error) => withoutValues(error) },
    },
    destination ?? gathered(),
  )
}

const linesWaitAtMostMs = 20
const gatheredBytesAtMost = 8_192

/** Standard output, to which lines of some moments go together: each write costs as much as a few lines. An end of the process waits for them. */
function gathered(): DestinationStream {
  const output = pino.destination({ dest: 1, sync: true, minLength: gatheredBytesAtMost })
  process.on('exit', () => output.flushSync())
  let waiting = false
  return {
    write(line) {
      output.write(line)
      if (waiting) return
      waiting = true
      setTimeout(() => {
        waiting = false
        // Not flushSync(), which waits for the disk: then everyone who asks waits for it fifty times a second.
        output.flush()
      }, linesWaitAtMostMs)
    },
  }
}

const secretFields: ReadonlySet<string> = new Set([
  ...['authorization', 'cookie', 'set-cookie', 'dpop', 'client-cert'],
  ...['access_token', 'refresh_token', 'id_token', 'token', 'authorization_code', 'client_assertion', 'request_uri', 'code_verifier'],
  ...['password', 'secret', 'totp_secret', 'page_token', 'jwks', 'private_key'],
  ...['username', 'email', 'phone', 'iban', 'accountNumber', 'sortCode', 'holderName', 'fullName'],
])
const maxDepth = 3

/** The same object when there is nothing to blank, which is nearly always. */
function blanked(fields: object, depth = 1): Record<string, unknown> {
  let shown = fields as Record<string, unknown>
  for (const field of Object.keys(fields)) {
    const value = (fields as Record<string, unknown>)[field]
    const secret = secretFields.has(field) && value !== undefined
    const safe = secret ? '[redacted]' : isPlain(value) && depth < maxDepth ? blanked(value, depth + 1) : value
    if (safe !== value) shown = { ...shown, [field]: safe }
  }
  return shown
}

/** Errors have a serializer of their own. */
const isPlain = (value: unknown): value is object => typeof value === 'object' && value !== null && !(value instanceof Error)

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
