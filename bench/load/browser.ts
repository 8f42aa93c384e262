import { type Answer, type Connection, formatRequest, header } from './connection.ts'
import { UnexpectedAnswer } from './path.ts'

/** Cookies by name: one origin and one journey at a time, so paths need not be looked at. */
export type Cookies = Map<string, string>

export type Form = {
  readonly action: string
  readonly inputs: readonly { readonly name: string; readonly type: string; readonly value: string }[]
  readonly button: { readonly name: string; readonly value: string } | undefined
}

/** A browser without eyes: sends the cookies it was given, keeps those it is handed. */
export async function visit(
  connection: Connection,
  origin: string,
  cookies: Cookies,
  location: string,
  fields?: URLSearchParams,
): Promise<Answer> {
  const path = location.startsWith(origin) ? location.slice(origin.length) : location
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = { ...(cookie && { cookie }), ...(fields && { origin }), accept: 'text/html' }
  const answer = await connection.send(
    formatRequest({ method: fields ? 'POST' : 'GET', origin, path, headers, ...(fields && { form: fields }) }),
  )
  for (const [, name = '', value = '', rest = ''] of answer.head.matchAll(/\r\nset-cookie: ([^=]+)=([^;\r]*)([^\r]*)/gi))
    if (value === '' || /expires=Thu, 01 Jan 1970/i.test(rest)) cookies.delete(name)
    else cookies.set(name, value)
  return answer
}

export function redirection(answer: Answer): string | undefined {
  return answer.status === 302 || answer.status === 303 ? header(answer, 'location') : undefined
}

/** The one form of a page that posts, as far as a program needs it to answer. */
export function readForm(page: string, location: string): Form {
  const [, opening = '', content = ''] = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(page) ?? []
  if (opening === '') throw new UnexpectedAnswer(`no form at ${location}: ${page.slice(0, 500)}`)
  const inputs = [...content.matchAll(/<input\b([^>]*)>/gi)].map(([, tag = '']) => ({
    name: attribute(tag, 'name'),
    type: attribute(tag, 'type'),
    value: attribute(tag, 'value'),
  }))
  const buttons = [...content.matchAll(/<button\b([^>]*)>/gi)].map(([, tag = '']) => ({
    name: attribute(tag, 'name'),
    value: attribute(tag, 'value'),
  }))
  return { action: attribute(opening, 'action') || location, inputs, button: buttons.find(({ value }) => value !== 'cancel') }
}

function attribute(tag: string, name: string): string {
  const [, quoted, bare] = new RegExp(`\\b${name}=(?:"([^"]*)"|([^\\s>"]+))`, 'i').exec(tag) ?? []
  return withoutEntities(quoted ?? bare ?? '')
}

const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' }

function withoutEntities(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(/&(?:#(\d+)|#x([0-9a-f]+)|(\w+));/gi, (whole, decimal, hex, name) =>
    name ? (named[name] ?? whole) : String.fromCodePoint(decimal ? Number(decimal) : Number.parseInt(hex, 16)),
  )
}
