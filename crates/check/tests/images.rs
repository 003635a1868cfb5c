//! Images made here, layer by layer, and judged.

use pilotis_check::{Built, Layer, Options, Report, Tree};

use crate::under;

/// Judges the image a case describes: `config.json`, `layer-N/…`, and modes by path.
pub(crate) fn judge(files: &Tree) -> Report {
    let config = serde_json::from_slice(&files["config.json"]).unwrap();
    let modes: serde_json::Value = serde_json::from_slice(&files["modes.json"]).unwrap();
    let layers = (1..).map(|number| under(files, &format!("layer-{number}/")));
    let layers: Vec<Tree> = layers.take_while(|layer| !layer.is_empty()).collect();
    let mut layers = layers.into_iter().map(|layer| {
        let bytes = Box::new(std::io::Cursor::new(packed(&layer, &modes)));
        Ok(Layer { bytes })
    });
    let built = Built {
        name: "registry.pilotis.internal/etat/web:1.0.0".into(),
        config,
        layers: &mut layers,
    };
    pilotis_check::image(built, &Options::default()).unwrap()
}

fn packed(layer: &Tree, modes: &serde_json::Value) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, bytes) in layer {
        let mode = modes[path].as_str().unwrap_or("755");
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(u32::from_str_radix(mode, 8).unwrap());
        archive
            .append_data(&mut header, path, bytes.as_slice())
            .unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn a_layer_that_is_no_archive_is_said() {
    let config = serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"User": "1"},
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    for bytes in [
        b"not a tar at all".repeat(100),
        vec![0x1f, 0x8b, 1, 2, 3],
        vec![0x28, 0xb5, 0x2f, 0xfd, 9],
    ] {
        let bytes = Box::new(std::io::Cursor::new(bytes));
        let mut layers = std::iter::once(Ok(Layer { bytes }));
        let built = Built {
            name: "web".into(),
            config: serde_json::from_value(config.clone()).unwrap(),
            layers: &mut layers,
        };
        let report = pilotis_check::image(built, &Options::default()).unwrap();
        assert_eq!(report.skipped.len(), 1, "{report:?}");
    }
}
