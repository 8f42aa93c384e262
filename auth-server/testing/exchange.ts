import https, { type Agent } from 'node:https'
import { text } from 'node:stream/consumers'

export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly cookies: readonly string[]
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

export type Request = {
  readonly method?: string | undefined
  readonly form?: Readonly<Record<string, string | undefined>> | URLSearchParams | undefined
  readonly body?: string | undefined
  readonly headers?: Readonly<Record<string, string | string[]>> | undefined
  readonly credential?: { readonly cert: string; readonly key: string } | undefined
  readonly ca: string
  /** Whose connections to use. */
  readonly agent?: Agent
}

/** One request, over a connection of its own unless it is said which, so that nothing is shared but what the test shares. */
export function exchange(url: string, { method, form, body, headers = {}, credential, ca, agent }: Request): Promise<Answer> {
  const given =
    form instanceof URLSearchParams
      ? form
      : form && new URLSearchParams(Object.entries(form).flatMap(([k, v]) => (v === undefined ? [] : [[k, v] as [string, string]])))
  const payload = body ?? given?.toString()
  return new Promise((resolve, reject) => {
    const request = https.request(
      url,
      {
        method: method ?? (payload === undefined ? 'GET' : 'POST'),
        agent: agent ?? false,
        servername: 'localhost',
        ca,
        ...credential,
        headers: {
          ...(given !== undefined && { 'content-type': 'application/x-www-form-urlencoded' }),
          ...(payload !== undefined && { 'content-length': String(Buffer.byteLength(payload)) }),
          ...headers,
        },
      },
      (response) => {
        text(response).then((received) => {
          const flat = Object.fromEntries(
            Object.entries(response.headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
          )
          resolve({
            status: response.statusCode ?? 0,
            headers: flat,
            cookies: response.headers['set-cookie'] ?? [],
            text: received,
            json: parsed(received),
          })
        }, reject)
      },
    )
    request.on('error', reject)
    request.end(payload)
  })
}

function parsed(received: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(received) as Record<string, unknown>
  } catch {
    return {}
  }
}
