import { existsSync, lstatSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { arch, platform, tmpdir, userInfo } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Chromium } from './launch-browser.ts'

/**
 * The Chromium inside the npm package `@sparticuz/chromium`, unpacked once (200 MB) beside the packages, or where they cannot be written, in a private
 * folder of the system's temporary one. Undefined where the package has no program for this machine.
 */
export async function bundledChromium(places = usualPlaces()): Promise<Chromium | undefined> {
  if (platform() !== 'linux' || arch() !== 'x64') return undefined
  const { version } = JSON.parse(await readFile(path.join(packageFolder, 'package.json'), 'utf8')) as { version: string }
  const folder = await unpackedFolder(places, version)
  return {
    executablePath: path.join(folder, 'chromium'),
    // The libraries that a bare machine lacks come after its own, whose other programs depend on them.
    environment: {
      LD_LIBRARY_PATH: [process.env['LD_LIBRARY_PATH'], path.join(folder, 'al2023/lib')].filter(Boolean).join(':'),
      FONTCONFIG_FILE: path.join(folder, 'fonts.conf'),
    },
  }
}

const packageFolder = path.resolve(fileURLToPath(import.meta.resolve('@sparticuz/chromium')), '../..')
const usualPlaces = () => [path.join(packageFolder, '../../.cache'), tmpdir()]

/** Tries one place after the other: what stands there already and is ours, else unpacks. */
async function unpackedFolder(places: readonly string[], version: string): Promise<string> {
  const { uid } = userInfo()
  const name = `bankside-chromium-${version}-${uid}`
  const refused: string[] = []
  for (const place of places) {
    const folder = path.join(place, name)
    if (isOurs(folder)) return folder
    try {
      if (!existsSync(folder)) await unpackInto(folder)
      if (isOurs(folder)) return folder
      refused.push(`${folder} is there and could have been put there by somebody else`)
    } catch (error) {
      refused.push(`${folder}: ${(error as Error).message}`)
    }
  }
  throw new Error(`Chromium could not be unpacked. ${refused.join('; ')}`)
}

/** A program is started from here: trusted only when nobody else can have put it there. The name appears at once, by a rename, when all is in it. */
function isOurs(folder: string): boolean {
  const facts = lstatSync(folder, { throwIfNoEntry: false })
  return facts?.isDirectory() === true && facts.uid === userInfo().uid && (facts.mode & 0o077) === 0
}

/** Several processes may unpack at once: each does so apart, the first one's rename wins, the others take what it made. */
async function unpackInto(folder: string): Promise<void> {
  await mkdir(path.dirname(folder), { recursive: true })
  const apart = await mkdtemp(`${folder}-`)
  try {
    await inflateAll(path.join(packageFolder, 'bin'), apart)
    await writeFile(path.join(apart, 'fonts.conf'), fontsConfiguration(folder))
    await rename(apart, folder)
  } catch (error) {
    await rm(apart, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
}

async function inflateAll(archives: string, folder: string): Promise<void> {
  const { inflate } = await import('@sparticuz/chromium')
  // `inflate` asks for the temporary folder when it is called and never again, so the setting is put back before anything else can run.
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = folder
  const inflated = ['chromium.br', 'fonts.tar.br', 'al2023.tar.br'].map((archive) => inflate(path.join(archives, archive)))
  if (before === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = before
  await Promise.all(inflated)
}

/** The package's own letters first, so that a page looks the same on a machine without any; the machine's for all other scripts. */
function fontsConfiguration(folder: string): string {
  const escaped = folder.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  const prefer = ['sans-serif', 'system-ui'].map(
    (family) => `<alias binding="strong"><family>${family}</family><prefer><family>Open Sans</family></prefer></alias>`,
  )
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${escaped}/fonts/fonts</dir><dir>/usr/share/fonts</dir><dir>/usr/local/share/fonts</dir>
  <cachedir>${escaped}/fonts-cache</cachedir>
  ${prefer.join('\n  ')}
</fontconfig>
`
}
