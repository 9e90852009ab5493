// Pictures from the server, decoded ahead of need: work copies (long side at most 2048) for the stage, and native pixels in
// tiles for the loupe and for 1:1. Both kept in small caches, oldest out first.

export const TILE = 256;
const EXACT = { colorSpaceConversion: "none", premultiplyAlpha: "none", imageOrientation: "from-image" };

class Cache {
  constructor(most, load) {
    this.most = most;
    this.load = load;
    this.entries = new Map();   // key -> {promise, value}
  }

  get(key) {
    const entry = this.entries.get(key);
    if (!entry) return null;
    this.entries.delete(key);   // to the young end
    this.entries.set(key, entry);
    return entry.value;
  }

  want(key) {
    this.get(key);
    const known = this.entries.get(key);
    if (known) return known.promise;
    const entry = { value: null, promise: null };
    entry.promise = this.load(key).then(
      (value) => {
        if (this.entries.get(key) === entry) entry.value = value;
        return value;
      },
      (error) => {
        if (this.entries.get(key) === entry) this.entries.delete(key);
        throw error;
      });
    this.entries.set(key, entry);
    for (const [old, { value }] of this.entries) {
      if (this.entries.size <= this.most) break;
      if (old === key) continue;
      this.entries.delete(old);
      value?.close();
    }
    return entry.promise;
  }
}

export class PictureError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;   // 0: no answer
  }
}

async function bitmap(url) {
  let answer;
  try {
    answer = await fetch(url, { credentials: "same-origin", signal: AbortSignal.timeout(30000) });
  } catch {
    throw new PictureError("The picture could not be fetched.", 0);
  }
  if (!answer.ok) throw new PictureError(`The server has no such picture (${answer.status}).`, answer.status);
  try {
    return await createImageBitmap(await answer.blob(), EXACT);
  } catch {
    throw new PictureError("The picture could not be decoded.", 422);
  }
}

export class Pictures {
  constructor(works = 6, tiles = 96) {
    this.works = new Cache(works, (sha) => bitmap(`/images/${sha}/work.jpg`));
    this.tiles = new Cache(tiles, (key) => {
      const [sha, row, col, rows, cols] = key.split(":");
      return bitmap(`/images/${sha}/crop.png?row=${row}&col=${col}&rows=${rows}&cols=${cols}`);
    });
  }

  // The decoded work copy if it is here, else null.
  work(sha) { return this.works.get(sha); }

  // Fetches and decodes; resolves to the bitmap or rejects with PictureError.
  wantWork(sha) { return this.works.want(sha); }

  // The tiles that cover pixels [top, bottom) x [left, right), clipped to the image: [{row, col, rows, cols, key}].
  static cover(image, { top, left, bottom, right }) {
    const found = [];
    const start = (value) => Math.floor(Math.max(0, value) / TILE) * TILE;
    for (let row = start(top); row < Math.min(bottom, image.height); row += TILE) {
      for (let col = start(left); col < Math.min(right, image.width); col += TILE) {
        const rows = Math.min(TILE, image.height - row);
        const cols = Math.min(TILE, image.width - col);
        found.push({ row, col, rows, cols, key: `${image.sha256}:${row}:${col}:${rows}:${cols}` });
      }
    }
    return found;
  }

  tile(key) { return this.tiles.get(key); }

  wantTile(key) { return this.tiles.want(key); }
}
