import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A file that pages refer to. Its address changes with its content, so that a browser may keep it for as long as it likes. */
export type Asset = {
  /** File name in `assets/`. */
  readonly name: string
  /** `/assets/bankside.1a2b3c4d5e6f.css`. */
  readonly href: string
  readonly contentType: string
  readonly hash: string
  readonly body: Buffer
}

const contentTypes = { css: 'text/css; charset=utf-8', svg: 'image/svg+xml; charset=utf-8' } as const

const load = (stem: string, extension: keyof typeof contentTypes): Asset => {
  const name = `${stem}.${extension}`
  const body = readFileSync(new URL(`assets/${name}`, import.meta.url))
  const hash = createHash('sha256').update(body).digest('hex').slice(0, 12)
  return { name, href: `/assets/${stem}.${hash}.${extension}`, contentType: contentTypes[extension], hash, body }
}

/** For `Common.cssHref`. */
export const stylesheet = load('bankside', 'css')
/** For `Common.iconHref`. */
export const icon = load('bankside', 'svg')

/** Everything to serve, by address. */
export const assets: ReadonlyMap<string, Asset> = new Map([stylesheet, icon].map((asset) => [asset.href, asset]))
