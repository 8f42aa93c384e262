/** A form of a page, read from its HTML as a browser without JavaScript would. */
export type HtmlForm = {
  readonly action: string
  readonly method: string
  readonly fields: readonly Field[]
  readonly buttons: readonly Field[]
}
export type Field = {
  readonly name: string
  readonly type: string
  readonly value: string
  readonly checked: boolean
  readonly disabled: boolean
}

export function formsOf(html: string): HtmlForm[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, attributes = '', inside = '']) => {
    const own = attributesOf(attributes)
    return {
      action: own.get('action') ?? '',
      method: (own.get('method') ?? 'get').toLowerCase(),
      fields: [...inside.matchAll(/<(?:input|select|textarea)\b([^>]*)>/gi)].map(([, text = '']) => fieldOf(text, 'text')),
      buttons: [...inside.matchAll(/<button\b([^>]*)>/gi)].map(([, text = '']) => fieldOf(text, 'submit')),
    }
  })
}

export const hiddenFields = (form: HtmlForm): [string, string][] =>
  form.fields.filter(({ type, disabled }) => type === 'hidden' && !disabled).map(({ name, value }) => [name, value])

/** What a person reads: the text of the page without its tags, with one space between words. */
export function textOf(html: string): string {
  const visible = html.replace(/<(script|style|title)\b[\s\S]*?<\/\1>/gi, ' ').replace(/<[^>]+>/g, ' ')
  return entitiesRead(visible).replace(/\s+/g, ' ').trim()
}

export function headingOf(html: string): string {
  return textOf(/<h1\b[^>]*>([\s\S]*?)<\/h1>/i.exec(html)?.[1] ?? '')
}

function fieldOf(text: string, defaultType: string): Field {
  const attributes = attributesOf(text)
  const type = attributes.get('type') ?? defaultType
  const value = attributes.get('value') ?? (type === 'checkbox' || type === 'radio' ? 'on' : '')
  return { name: attributes.get('name') ?? '', type, value, checked: attributes.has('checked'), disabled: attributes.has('disabled') }
}

function attributesOf(text: string): Map<string, string> {
  const found = text.matchAll(/([a-z_:][-\w:.]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/gi)
  return new Map(
    [...found].map(([, name = '', double, single, bare]) => [name.toLowerCase(), entitiesRead(double ?? single ?? bare ?? '')]),
  )
}

const named: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: ' ', pound: '£', euro: '€' }

function entitiesRead(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal) return String.fromCodePoint(Number(decimal))
    return named[name ?? ''] ?? whole
  })
}
