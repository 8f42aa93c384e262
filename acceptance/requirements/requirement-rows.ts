import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** The checklists that concern the authorization server, and the decisions where sources disagree. They are no part of the repository. */
const checklists = ['security-profiles.md', 'certificates-and-registration.md', 'README.md'] as const

const folder = process.env['BANKSIDE_REQUIREMENTS'] ?? path.join(import.meta.dirname, '../../../shared/requirements')

/** Reason for skipping, when the checklists are not at hand. */
export const checklistsMissing = existsSync(path.join(folder, checklists[0]))
  ? undefined
  : 'BANKSIDE_REQUIREMENTS names no folder with the checklists'

/** The stable ID of every row, in the order of the checklists. */
export const requirementIds = (): readonly string[] =>
  checklists.flatMap((file) => [...readFileSync(path.join(folder, file), 'utf8').matchAll(firstCell)].map(([, id]) => id ?? ''))

const firstCell = /^\| ((?:[A-Z][A-Z0-9]*-)+\d+|D\d+) \|/gm
